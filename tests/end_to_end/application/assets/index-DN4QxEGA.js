// What a bundler makes of a single-page application: a router, and a part that is loaded when it is needed.
const main = document.querySelector("main");

const pages = {
  "": () => {
    main.innerHTML = '<h1>Home</h1><img src="/assets/logo-CHdo91hT.svg" alt="logo">';
  },
  users: (number) => {
    main.innerHTML = "<h1></h1>";
    main.firstChild.textContent = `User ${number}`;
  },
  media: () => {
    main.innerHTML = '<h1>Media</h1><audio controls preload="metadata" src="/tone.wav"></audio>';
  },
  statistics: async () => {
    const { show } = await import("./statistics-DOYP9uCB.js");
    show(main);
  },
};

function route() {
  const [, page, ...rest] = location.pathname.split("/");
  const show = pages[page] ?? (() => (main.innerHTML = "<h1>No such page</h1>"));
  show(...rest);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link) {
    event.preventDefault();
    history.pushState(null, "", link.href);
    route();
  }
});
addEventListener("popstate", route);
route();

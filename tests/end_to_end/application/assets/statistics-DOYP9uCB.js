export function show(main) {
  main.innerHTML = "<h1>Statistics</h1>";
}

"""TLS without sockets: certificates, what is said in them, and the contexts of OpenSSL that are made of them."""

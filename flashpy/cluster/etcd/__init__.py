"""etcd, for clusters on several hosts: who is in it, which front is active. Imported only where it is configured."""

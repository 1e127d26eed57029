// Package pglocal runs a PostgreSQL server of one's own, on this machine and for a while: for tests (pgtest) and for
// measurements.
//
// The programs come from PATH or /usr/lib/postgresql/*/bin. A server gets a folder of its own, a free port on
// loopback, a random password and fsync as in production; as root it runs as user postgres or nobody, because
// PostgreSQL refuses to run as root. It ends with the process that started it, even if that is killed.
package pglocal

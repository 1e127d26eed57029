package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/nats-io/nats-server/v2/server"
)

// serverUpWithin is how long the server inside this process may take to start: with a large stream it reads for a while.
const serverUpWithin = 30 * time.Second

// embedded is a NATS server inside this process. Every write is synced to disk before it is acknowledged, so an
// acknowledgement of its streams holds through a power loss.
type embedded struct {
	server *server.Server
	lock   *cdb.Lock
}

// startEmbedded starts a server.
func startEmbedded(ctx context.Context, o *Options) (*embedded, error) {
	lock, err := lockFolder(o.Embedded.StoreDir)
	if err != nil {
		return nil, err
	}
	e := &embedded{lock: lock}
	if err := e.start(ctx, o); err != nil {
		return nil, errors.Join(err, e.close())
	}
	return e, nil
}

// lockFolder makes the server's folder and keeps other processes out of it: the server itself doesn't, and two of them
// would destroy each other's streams.
func lockFolder(dir string) (*cdb.Lock, error) {
	if dir == "" {
		return nil, errors.New("nats.embedded.store_dir is empty: name a folder for the server's streams")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir: %w", err)
	}
	lock, err := cdb.LockDirectory(dir, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.store_dir: another process uses %s; stop that one, or use another folder: %w", dir, err)
	}
	return lock, nil
}

func (e *embedded) start(ctx context.Context, o *Options) error {
	listener, err := listenLoopback(ctx, o.Embedded.Listen)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }() // Of no use, and no harm, once it was closed below.
	address := listener.Addr().(*net.TCPAddr)
	made, err := server.NewServer(&server.Options{
		ServerName: "carrier", Host: address.IP.String(), Port: address.Port,
		JetStream: true, StoreDir: filepath.Clean(o.Embedded.StoreDir), SyncAlways: true,
		NoSigs: true, // The process's signals are ours.
	})
	if err != nil {
		return fmt.Errorf("the embedded NATS server: %w", err)
	}
	log := newServerLog(o.Logger.With("part", "nats-server"))
	made.SetLoggerV2(log, false, false, false)
	// The address is free, or we would not have it; the server takes it over.
	if err := listener.Close(); err != nil {
		return fmt.Errorf("nats.embedded.listen: %w", err)
	}
	e.server = made
	made.Start() // It returns when it serves, or has said why not.
	if err := log.fatal(); err != nil {
		return fmt.Errorf("the embedded NATS server can't start: %w", err)
	}
	if !made.ReadyForConnections(serverUpWithin) {
		return fmt.Errorf("the embedded NATS server takes no connections within %s", serverUpWithin)
	}
	return e.checkStreams(made.StoreDir())
}

// checkStreams finds streams in the server's folder that it could not read. It goes on without them, and would make them
// anew, empty: what was acknowledged to its publisher would be gone.
func (e *embedded) checkStreams(dir string) error {
	account := server.DEFAULT_GLOBAL_ACCOUNT
	detail, err := e.server.JszAccount(&server.JSzOptions{Account: account, Streams: true})
	if err != nil {
		return fmt.Errorf("the embedded NATS server's streams: %w", err)
	}
	read := map[string]bool{}
	for _, stream := range detail.Streams {
		read[stream.Name] = true
	}
	blocks, err := filepath.Glob(filepath.Join(dir, account, "streams", "*", "msgs", "*.blk"))
	if err != nil {
		return fmt.Errorf("the embedded NATS server's folder: %w", err)
	}
	for _, block := range blocks {
		folder := filepath.Dir(filepath.Dir(block))
		if name := filepath.Base(folder); !read[name] && !strings.HasPrefix(name, ".") {
			return fmt.Errorf("nats.embedded.store_dir: the stream in %s can't be read, the log says why: restore that folder, "+
				"or move it away to begin with an empty stream", folder)
		}
	}
	return nil
}

// listenLoopback tells in time, and in clear words, that an address can't be had.
func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.listen: %w; write HOST:PORT, such as 127.0.0.1:4222", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("nats.embedded.listen: %s is no loopback address, and the embedded server asks nobody for credentials: "+
			"use 127.0.0.1, or run a NATS server of its own", host)
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("nats.embedded.listen: %w; free the address, or choose another", err)
	}
	return listener, nil
}

// url is where clients of other processes connect to.
func (e *embedded) url() string {
	address := e.server.Addr().(*net.TCPAddr)
	return "nats://" + net.JoinHostPort(address.IP.String(), strconv.Itoa(address.Port))
}

// close stops the server and lets go of its folder.
func (e *embedded) close() error {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	if err := e.lock.Close(); err != nil {
		return fmt.Errorf("nats.embedded.store_dir: let go of the folder: %w", err)
	}
	return nil
}

// serverLog writes the server's log into ours. What it says as a notice is every start's story in thirty lines: of no
// interest unless one looks for something.
type serverLog struct {
	log *slog.Logger

	mu  sync.Mutex
	end error // What it could not start for.
}

func newServerLog(log *slog.Logger) *serverLog { return &serverLog{log: log} }

func (l *serverLog) write(level slog.Level, format string, v []any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, strings.TrimSpace(fmt.Sprintf(format, v...)))
	}
}

// Noticef implements server.Logger, as the methods below do.
func (l *serverLog) Noticef(format string, v ...any) { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Debugf(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Tracef(format string, v ...any)  { l.write(slog.LevelDebug, format, v) }
func (l *serverLog) Warnf(format string, v ...any)   { l.write(slog.LevelWarn, format, v) }
func (l *serverLog) Errorf(format string, v ...any)  { l.write(slog.LevelError, format, v) }

// Fatalf keeps why the server can't start. The process goes on: it is not the server's.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = errors.Join(l.end, fmt.Errorf(format, v...))
}

func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

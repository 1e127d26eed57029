package pebble

import (
	"cmp"
	"log/slog"
	"os"
	"time"

	cdb "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"carrier/internal/state"
	"carrier/internal/store"
)

// Options say how a store is opened. The zero value is a store that waits for no missing scan.
type Options struct {
	Machine state.Machine
	// NoTokenWait is how long a push waits for its waybill's Token before it fails; 24 h by default.
	NoTokenWait time.Duration
	// DiscardUnknown says that the push of a waybill without a Token is discarded at once (store.ReasonUnknown), and
	// not kept waiting for one. A Token that comes later makes it pending all the same.
	DiscardUnknown bool
	// TokenKeys seal Tokens on disk: AES-256 keys of 32 bytes, the newest first, which seals; all of them open. Without
	// any, Tokens are kept as they are. What was kept under another key, or under none, is sealed when it is next
	// written.
	TokenKeys [][]byte
	// Feed hears of pushes that became open; nil: nobody does.
	Feed store.Feed
	// Notify says that notices of ends are to be kept (store.Notices), and hears of every commit that made some, once
	// it is durable. It is called by the engine's own goroutine and must not block or call the store. nil: no notices
	// are made; those from before can be read until they are older than Retention.
	Notify func()
	Logger *slog.Logger
	// MinFreeBytes is how much of the disk must be free for events to be taken; 0: it is not watched.
	MinFreeBytes uint64
	// Retention is how long what is settled is kept, and told where Notify is given; 0: for ever.
	Retention time.Duration
	// Fatal is called once when a write or an fsync failed: memory may be ahead of the disk then, and the process
	// must end. By default it logs and exits with status 1. If it returns, the store refuses everything.
	Fatal func(error)

	// CacheBytes is the room for blocks of the disk in memory; 32 MiB by default.
	CacheBytes int64
	// MemtableBytes is how much is collected in memory before it is written in order; 16 MiB by default. Up to four
	// times as much is in memory while the disk is behind.
	MemtableBytes uint64
	// Waybills is how many waybills each of the two generations of the cache remembers; 65,536 by default.
	Waybills int

	// FS and Now are for tests: another file system, another clock than time.Now.
	FS  vfs.FS
	Now func() time.Time

	// maxNatural and spanRows stand for the constants in the engine's own tests.
	maxNatural, spanRows       uint64
	maxLetters, maxLetterBytes int
}

func (o Options) withDefaults() Options {
	o.NoTokenWait = cmp.Or(o.NoTokenWait, 24*time.Hour)
	o.CacheBytes = cmp.Or(o.CacheBytes, 32<<20)
	o.MemtableBytes = cmp.Or(o.MemtableBytes, 16<<20)
	o.Waybills = cmp.Or(o.Waybills, 1<<16)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.spanRows = cmp.Or(o.spanRows, spanRows)
	o.maxLetters = cmp.Or(o.maxLetters, maxLetters)
	o.maxLetterBytes = cmp.Or(o.maxLetterBytes, maxLetterBytes)
	if o.Fatal == nil {
		o.Fatal = func(error) { os.Exit(1) }
	}
	return o
}

// formatMajor pins the format of the engine's own files. It is one-way: raising it makes older binaries refuse.
// It is the first with commitments in the write-ahead log that tell a damaged log from a torn end
// (FormatWALSyncChunks) and with checksums over the whole of a table's footer.
const formatMajor = cdb.FormatTableFormatV6

// cacheSize is CacheBytes and what the memtables take off it: the engine below counts the active one and the one that
// is flushed or kept for reuse as part of its cache. Without them, the defaults left no room for blocks at all, and
// every read of a filter or an index went to the file: measured, a push of a backlog cost 145 us of CPU instead of 68.
func (o *Options) cacheSize() int64 { return o.CacheBytes + 2*int64(o.MemtableBytes) }

// memtables is how many memtables there may be before writes wait for the disk.
const memtables = 4

// engineOptions are what the engine below is opened with. Measured on 2 shared cores with 800,000 events: memtables and
// a cache four times as large take 235 MiB of memory instead of 135, and are faster by less than runs differ.
func (o *Options) engineOptions(log *engineLog, logs *logFS, cache *cdb.Cache) *cdb.Options {
	opts := &cdb.Options{
		FS:                          logs,
		FormatMajorVersion:          formatMajor,
		Cache:                       cache,
		MemTableSize:                o.MemtableBytes,
		MemTableStopWritesThreshold: memtables,
		L0CompactionThreshold:       8,
		L0StopWritesThreshold:       48,
		LBaseMaxBytes:               128 << 20,
		BytesPerSync:                512 << 10,
		MaxOpenFiles:                512,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      log,
		EventListener: &cdb.EventListener{
			BackgroundError: log.background, DataCorruption: log.damage, WALCreated: logs.created,
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = 16 << 10
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	return opts
}

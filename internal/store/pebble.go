package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// PebbleOptions are the settings of one Pebble. Zero fields mean the defaults.
type PebbleOptions struct {
	// MemTableBytes is the size of one of the two memtables; 8 MiB.
	MemTableBytes int
	// CacheBytes is the size of the block cache; 16 MiB.
	CacheBytes int64
	// FS is where the files are; nil is the disk. For tests.
	FS vfs.FS
	// Logger hears of what went wrong; nil discards. No key and no value is
	// ever logged.
	Logger *slog.Logger

	// noSync acknowledges before the disk has it. Only the control of the
	// crash test sets it: a test that cannot fail proves nothing.
	noSync bool
}

// Pebble is the durable Engine: one folder, one process, one fsync a group of
// commits. Opened with OpenPebble.
type Pebble struct {
	db     *pebble.DB
	disk   vfs.FS
	dir    string
	lock   *pebble.Lock
	poison poison
	write  *pebble.WriteOptions

	commits chan *commit
	closing chan struct{} // closed by Close
	stopped chan struct{} // closed when the committer has ended
	once    sync.Once
	ended   error // the result of Close, owned by once

	mu        sync.RWMutex
	seen      *pebble.Snapshot // what readers see: durable commits only
	running   sync.WaitGroup   // scans and maintenance; Close waits for them
	deletions signal           // a file was deleted, or a flush ended
	closed    bool
}

// deleteNoReuse deletes obsolete files. Pebble would rather keep old write-ahead
// logs and write over them later, with the bytes of erased records still
// inside; it refrains only for cleaners that, like ArchiveCleaner, want whole
// files. The embedded archiver lends that mark and nothing else: Clean and
// String are DeleteCleaner's, being less deep.
type deleteNoReuse struct {
	pebble.DeleteCleaner
	wholeFiles
}

type wholeFiles struct{ pebble.ArchiveCleaner }

// OpenPebble opens the folder, making it if it is missing. ErrLocked if it is
// open elsewhere.
func OpenPebble(dir string, o PebbleOptions) (*Pebble, error) {
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if err := makeFolder(o.FS, dir); err != nil {
		return nil, fmt.Errorf("make store folder: %w", err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		return nil, fmt.Errorf("lock store folder: %w", lockError(err))
	}
	p := &Pebble{
		disk:    o.FS,
		dir:     dir,
		lock:    lock,
		write:   &pebble.WriteOptions{Sync: !o.noSync},
		commits: make(chan *commit),
		closing: make(chan struct{}),
		stopped: make(chan struct{}),
	}
	p.poison.start(o.Logger)
	p.deletions.start()
	if p.db, err = p.open(dir, o); err != nil {
		return nil, fmt.Errorf("open store: %w", errors.Join(err, lock.Close()))
	}
	p.seen = p.db.NewSnapshot()
	go p.commitLoop()
	return p, nil
}

func (p *Pebble) open(dir string, o PebbleOptions) (*pebble.DB, error) {
	opts := &pebble.Options{
		FS:                          o.FS,
		Lock:                        p.lock,
		FormatMajorVersion:          formatVersion,
		MemTableSize:                uint64(orDefault(o.MemTableBytes, memTableBytes)),
		MemTableStopWritesThreshold: 2,
		CacheSize:                   orDefault(o.CacheBytes, cacheBytes),
		L0StopWritesThreshold:       24,
		Cleaner:                     deleteNoReuse{},
		Logger:                      &p.poison,
		EventListener: &pebble.EventListener{
			// A flush or compaction that failed: the disk is full or broken.
			BackgroundError: func(err error) { p.poison.with("background work", err) },
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { p.poison.warn("writes wait for the disk") },
			TableDeleted:    func(i pebble.TableDeleteInfo) { p.deleted(i.Err) },
			WALDeleted:      func(i pebble.WALDeleteInfo) { p.deleted(i.Err) },
			FlushEnd:        func(pebble.FlushInfo) { p.deletions.send() },
			// A damaged block. The reader who met it gets the error; other
			// records can still be read, and the damaged one repaired.
			DataCorruption: func(pebble.DataCorruptionInfo) { p.poison.warn("damaged block") },
		},
	}
	for i := range opts.Levels {
		opts.Levels[i].BlockSize = blockBytes
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
		opts.Levels[i].FilterType = pebble.TableFilter
	}
	opts.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	return pebble.Open(dir, opts)
}

func orDefault[T int | int64](v, standard T) T {
	if v == 0 {
		return standard
	}
	return v
}

// makeFolder makes dir for the owner alone and syncs the folders above those
// it made, or a power cut could take the whole store with its first receipts.
func makeFolder(disk vfs.FS, dir string) error {
	var made []string
	for d := dir; ; d = disk.PathDir(d) {
		if _, err := disk.Stat(d); err == nil || disk.PathDir(d) == d {
			break
		}
		made = append(made, d)
	}
	if err := disk.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range made {
		parent, err := disk.OpenDir(disk.PathDir(d))
		if err != nil {
			return err
		}
		if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
			return err
		}
	}
	return nil
}

// lockError tells "held" from "cannot be made". A file that cannot be made or
// opened is a PathError; a lock that is held is a bare errno, or Pebble's own
// error if this process holds it.
func lockError(err error) error {
	var path *fs.PathError
	var errno syscall.Errno
	switch {
	case errors.As(err, &path):
		return err
	case errors.As(err, &errno) && errno != syscall.EAGAIN && errno != syscall.EACCES:
		return err
	default:
		return ErrLocked
	}
}

// Get implements Engine.
func (p *Pebble) Get(key []byte) ([]byte, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.refusal(); err != nil {
		return nil, err
	}
	v, closer, err := p.seen.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("read store: %w", err)
	}
	value := append([]byte{}, v...)
	if err := closer.Close(); err != nil {
		return nil, fmt.Errorf("read store: %w", err)
	}
	return value, p.poison.refusal()
}

// Scan implements Engine. Files that a running scan can see are not deleted
// before it ends, so a yield must call neither Compact nor Close.
func (p *Pebble) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	it, done, err := p.iterate(lower, upper)
	if err != nil {
		return err
	}
	defer done()
	err = walk(it, yield)
	if err := errors.Join(err, it.Close()); err != nil {
		return fmt.Errorf("scan store: %w", err)
	}
	return p.poison.refusal()
}

func (p *Pebble) iterate(lower, upper []byte) (*pebble.Iterator, func(), error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if err := p.refusal(); err != nil {
		return nil, nil, err
	}
	it, err := p.seen.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, nil, fmt.Errorf("scan store: %w", err)
	}
	p.running.Add(1)
	return it, p.running.Done, nil
}

func walk(it *pebble.Iterator, yield func(key, value []byte) bool) error {
	for ok := it.First(); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if !yield(it.Key(), value) {
			break
		}
	}
	return it.Error()
}

// refusal says why nothing can be done now; callers hold mu.
func (p *Pebble) refusal() error {
	if p.closed {
		return ErrClosed
	}
	return p.poison.refusal()
}

// Close implements Engine. A poisoned engine is left as it is, lock included:
// nobody may open the folder again before this process is gone and with it
// every half-done write.
func (p *Pebble) Close() error {
	p.once.Do(func() { p.ended = p.close() })
	return p.ended
}

func (p *Pebble) close() error {
	close(p.closing)
	select {
	case <-p.stopped:
	case <-p.poison.spread:
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if err := p.poison.refusal(); err != nil {
		return err
	}
	p.running.Wait()
	err := p.poison.guard("close store", func() error {
		return errors.Join(p.seen.Close(), p.db.Close())
	})
	if err = errors.Join(err, p.lock.Close()); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}

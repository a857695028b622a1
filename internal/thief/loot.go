package thief

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fxamacker/cbor/v2"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/store"
)

// Loot is one keeper's folder in a thief's hands: all files, all values, every
// share unsealed that the keeper's own keys unseal.
type Loot struct {
	dir, name string             // the files as they lay on the disk
	opened    string             // a second copy, whose databases were opened
	index     abaton.KeeperIndex // from its public entry; 0 is not known
	files     []string
	values    []value
	fragments map[place]fragment
	shares    map[place][32]byte
	sealed    int // shares that did not unseal
	secrets   [][32]byte
}

type value struct {
	table string
	bytes []byte
}

// place names one record at every keeper: batches have one name everywhere.
type place struct {
	batch abaton.BatchName
	j     byte
}

type fragment struct {
	bytes []byte
	word  int // bytes of the whole code word
}

// Steal copies a keeper's folder to dir and opens the copy with everything
// that is in it; opening a database changes its files, so there are two. The keeper must not be writing: a thief pulls the plug.
func Steal(ctx context.Context, dir, keeperDir string) (*Loot, error) {
	l := &Loot{
		dir: filepath.Join(dir, "disk"), opened: filepath.Join(dir, "opened"), name: filepath.Base(keeperDir),
		fragments: make(map[place]fragment), shares: make(map[place][32]byte),
	}
	err := errors.Join(copyTree(ctx, l.dir, keeperDir), copyTree(ctx, l.opened, keeperDir))
	if err != nil {
		return nil, fmt.Errorf("copy stolen folder: %w", err)
	}
	if l.files, err = filesOf(l.dir); err != nil {
		return nil, fmt.Errorf("list stolen folder: %w", err)
	}
	l.openIdentity()
	if err := l.openStores(); err != nil {
		return nil, fmt.Errorf("open stolen folder: %w", err)
	}
	return l, nil
}

func filesOf(dir string) (files []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, rel)
		return err
	})
	return files, err
}

func copyTree(ctx context.Context, to, from string) error {
	files, err := filesOf(from)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyFile(filepath.Join(to, f), filepath.Join(from, f)); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// openIdentity takes every secret out of the keeper's own files.
func (l *Loot) openIdentity() {
	for _, f := range l.files {
		b, err := os.ReadFile(filepath.Join(l.dir, f))
		if err != nil || len(b) > 1<<20 {
			continue
		}
		inCBOR(b, 0, l.secret)
		if f == "entry.cbor" {
			l.index = indexIn(b)
		}
	}
}

// indexIn is the x-coordinate in a keeper's public entry, 0 if there is none.
func indexIn(entry []byte) abaton.KeeperIndex {
	var fields map[int]cbor.RawMessage
	var x uint8
	if cbor.Unmarshal(entry, &fields) != nil || cbor.Unmarshal(fields[1], &x) != nil {
		return 0
	}
	return abaton.KeeperIndex(x)
}

// secret notes bytes that could be a key.
func (l *Loot) secret(b []byte) {
	if len(b) == 32 {
		l.secrets = append(l.secrets, [32]byte(b))
	}
}

// Tables of the keeper's two databases that hold records and their shares
// (package store); all other tables are read as they come.
const (
	tableFragment = 'f' // pseudonym 16, batch 32: bitmap 8, fragments; or, with j: one fragment
	tableShare    = 's' // pseudonym 16, batch 32: generation 4, bitmap 8, nonce 12, box
	tableRowKey   = 'w' // pseudonym 16: generation 4, key
	batchKeySize  = 1 + 16 + 32
	recordKeySize = batchKeySize + 1
	rowKeySize    = 1 + 16
)

// openStores reads both databases and unseals the shares.
func (l *Loot) openStores() error {
	rows := make(map[[16]byte][32]byte)
	err := l.scan("keys", func(k, v []byte) {
		if len(k) == rowKeySize && k[0] == tableRowKey && len(v) == 4+32 {
			rows[[16]byte(k[1:])] = [32]byte(v[4:])
			l.secret(v[4:])
		}
	})
	if err != nil {
		return err
	}
	return l.scan("records", func(k, v []byte) {
		if len(k) != batchKeySize && len(k) != recordKeySize {
			return
		}
		batch := abaton.BatchName(k[17:49])
		switch {
		case k[0] == tableFragment && len(k) == recordKeySize:
			l.fragment(place{batch: batch, j: k[49]}, v)
		case k[0] == tableFragment && len(v) > 8:
			rest := v[8:]
			for _, j := range members(v) {
				rest = l.fragment(place{batch: batch, j: j}, rest)
			}
		case k[0] == tableShare && len(k) == batchKeySize && len(v) > 4+8:
			l.unsealed(batch, members(v[4:]), unseal(rows[[16]byte(k[1:17])], batch, v))
		}
	})
}

// members are the records of a bitmap, ascending.
func members(b []byte) (js []byte) {
	bitmap := binary.BigEndian.Uint64(b)
	for j := range byte(64) {
		if bitmap&(1<<j) != 0 {
			js = append(js, j)
		}
	}
	return js
}

// fragment notes the fragment at the start of b, length of the word and size
// before it, also as a value of its own, and returns what follows it.
func (l *Loot) fragment(at place, b []byte) (rest []byte) {
	word, n := binary.Uvarint(b)
	if n <= 0 {
		return nil
	}
	size, m := binary.Uvarint(b[n:])
	if b = b[n+max(m, 0):]; m <= 0 || size > uint64(len(b)) {
		return nil
	}
	l.fragments[at] = fragment{bytes: b[:size], word: int(word)}
	l.values = append(l.values, value{table: "records fragment", bytes: b[:size]})
	return b[size:]
}

// unsealed notes the shares of one row, which are nil if it did not open.
func (l *Loot) unsealed(batch abaton.BatchName, js []byte, shares [][32]byte) {
	if len(shares) != len(js) {
		l.sealed += len(js)
		return
	}
	for i, j := range js {
		l.shares[place{batch: batch, j: j}] = shares[i]
	}
}

func (l *Loot) scan(name string, yield func(k, v []byte)) (err error) {
	engine, err := store.OpenPebble(filepath.Join(l.opened, name), store.PebbleOptions{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	return engine.Scan(nil, nil, func(k, v []byte) bool {
		v = append([]byte{}, v...)
		l.values = append(l.values, value{table: fmt.Sprintf("%s %q", name, k[:1]), bytes: v})
		l.secret(v)
		l.valueSecrets(v)
		yield(append([]byte{}, k...), v)
		return true
	})
}

// valueSecrets notes the 32-byte strings of CBOR values.
func (l *Loot) valueSecrets(v []byte) {
	if len(l.secrets) < secretsMax {
		inCBOR(v, 0, l.secret)
	}
}

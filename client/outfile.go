package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/wire"
)

// outFile is one file of the outbox. live counts its batches that are not at
// all keepers yet; the outbox's mu guards it.
type outFile struct {
	*os.File
	number uint64
	size   int64
	live   int
}

// write appends a group and syncs it. Only the leader of a group is here.
func (o *Outbox) write(g *group, number uint64) error {
	if len(g.notes) == 0 {
		return nil
	}
	file := o.files[len(o.files)-1]
	if file.size >= outboxFileBytes {
		var err error
		if file, err = o.rotate(number); err != nil {
			return err
		}
	}
	var buf []byte
	for _, n := range g.notes {
		start := len(buf)
		buf = o.box.append(buf, number, n.kind, n.body)
		if n.item != nil {
			n.item.file, n.item.at, n.item.size = file, file.size+int64(start), len(buf)-start
		}
	}
	if _, err := file.WriteAt(buf, file.size); err != nil {
		return fmt.Errorf("write outbox: %w", err)
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync outbox: %w", err)
	}
	file.size += int64(len(buf))
	return nil
}

// rotate starts the next file with the marks, makes it durable, and removes
// files that hold nothing any more. group is the number of its first frame.
func (o *Outbox) rotate(group uint64) (*outFile, error) {
	o.mu.Lock()
	body := wire.Marshal(o.marks.form())
	number := uint64(1)
	if len(o.files) > 0 {
		number = o.files[len(o.files)-1].number + 1
	}
	o.mu.Unlock()
	file, err := o.start(number, o.box.append(nil, group, frameMarks, body))
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.files[:0]
	for _, f := range o.files {
		if f.live > 0 {
			kept = append(kept, f)
			continue
		}
		f.Close()
		if err := os.Remove(f.Name()); err != nil {
			return nil, fmt.Errorf("remove outbox file: %w", err)
		}
	}
	o.files = append(kept, file)
	return file, nil
}

// start writes a new file under a temporary name and gives it its name when
// it is durable: a file that exists begins with its marks.
func (o *Outbox) start(number uint64, first []byte) (*outFile, error) {
	temporary := filepath.Join(o.dir, "next.tmp")
	file, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start outbox file: %w", err)
	}
	_, err = file.Write(first)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(temporary, o.path(number))
	}
	if err == nil {
		err = syncFolder(o.dir)
	}
	if err != nil {
		return nil, fmt.Errorf("start outbox file: %w", err)
	}
	file, err = os.OpenFile(o.path(number), os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start outbox file: %w", err)
	}
	return &outFile{File: file, number: number, size: int64(len(first))}, nil
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// recover reads all files, cuts a torn end off the last one, and starts a new
// file. Anything damaged that was durable once is ErrOutbox.
func (o *Outbox) recover() error {
	numbers, err := o.numbers()
	if err != nil {
		return err
	}
	for i, number := range numbers {
		if err := o.replay(number, i == len(numbers)-1); err != nil {
			return err
		}
	}
	o.group++
	_, err = o.rotate(o.group)
	return err
}

// numbers lists the files in ascending order.
func (o *Outbox) numbers() ([]uint64, error) {
	entries, err := os.ReadDir(o.dir)
	if err != nil {
		return nil, err
	}
	var numbers []uint64
	for _, e := range entries {
		text, ok := strings.CutSuffix(e.Name(), ".out")
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(text, 16, 64)
		if err != nil || n == 0 {
			return nil, ErrOutbox
		}
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	return numbers, nil
}

// replay reads one file. Files are read whole; each is at most outboxFileBytes
// and one group.
func (o *Outbox) replay(number uint64, last bool) error {
	file, err := os.OpenFile(o.path(number), os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	f := &outFile{File: file, number: number}
	o.files = append(o.files, f)
	data, err := os.ReadFile(o.path(number))
	if err != nil {
		return err
	}
	for f.size < int64(len(data)) {
		rest := data[f.size:]
		fr, err := o.box.read(rest)
		if errors.Is(err, errTorn) {
			return o.cut(f, rest, last)
		}
		if err != nil {
			return err
		}
		if fr.group < o.group {
			return ErrOutbox
		}
		o.group = fr.group
		if err := o.apply(f, fr); err != nil {
			return err
		}
		f.size += int64(fr.size)
	}
	return nil
}

// cut removes a torn end: only of the last file, never of its first frame,
// and only where no later group proves that it was durable.
func (o *Outbox) cut(f *outFile, rest []byte, last bool) error {
	if !last || f.size == 0 || laterGroup(rest, o.group+1) {
		return ErrOutbox
	}
	if err := f.Truncate(f.size); err != nil {
		return err
	}
	return f.Sync()
}

// apply takes one frame of a replayed file into memory.
func (o *Outbox) apply(f *outFile, fr frame) error {
	switch fr.kind {
	case frameMarks:
		var form marksForm
		if wire.Unmarshal(fr.body, &form) != nil {
			return ErrOutbox
		}
		o.marks.take(form)
	case frameBatch:
		out := new(outgoing)
		if wire.Unmarshal(fr.body, out) != nil {
			return ErrOutbox
		}
		o.marks.note(markOf(out.Patient, out.Line), out.Seq, out.Batch)
		it := newItem(out)
		it.file, it.at, it.size = f, f.size, fr.size
		o.drop(out.Batch)
		o.items[out.Batch] = it
		f.live++
		o.held += int64(it.size)
	case frameReceipt:
		var n receiptNote
		if wire.Unmarshal(fr.body, &n) != nil {
			return ErrOutbox
		}
		if it := o.items[n.Batch]; it != nil && n.Keeper <= abaton.KeepersMax {
			it.receipts[n.Keeper] = n.Receipt
		}
	case frameDone:
		var n doneNote
		if wire.Unmarshal(fr.body, &n) != nil {
			return ErrOutbox
		}
		o.drop(n.Batch)
	default:
		return ErrOutbox
	}
	return nil
}

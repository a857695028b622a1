package client

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/key"
)

var boxKey = key.Secret{7}

func open(t *testing.T, dir string) *Outbox {
	t.Helper()
	o, err := OpenOutbox(dir, boxKey)
	if err != nil {
		t.Fatalf("open outbox: %v", err)
	}
	t.Cleanup(func() { o.Close() })
	return o
}

// entry makes a batch as a writer would: numbered, then added.
func entry(t *testing.T, o *Outbox, line byte, body []byte) *outgoing {
	t.Helper()
	out, err := o.numbered(abaton.ActorID{1}, abaton.Line{line}, func(seq uint64, prev [32]byte) (*outgoing, error) {
		out := &outgoing{V: 1, Patient: abaton.ActorID{1}, Line: abaton.Line{line}, Seq: seq, Head: prev[:], Lock: []byte{1},
			Pieces: [][]byte{body}}
		out.Batch = abaton.BatchName(key.NewSecret())
		return out, nil
	})
	if err != nil {
		t.Fatalf("number: %v", err)
	}
	if err := o.add(out); err != nil {
		t.Fatalf("add: %v", err)
	}
	return out
}

func names(o *Outbox) map[abaton.BatchName]bool {
	all := make(map[abaton.BatchName]bool)
	for _, it := range o.waiting() {
		all[it.name] = true
	}
	return all
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*.out"))
	if err != nil {
		t.Fatalf("list files: %v", err)
	}
	return list
}

func TestOutboxKeeps(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	a, b, c := entry(t, o, 1, []byte("a")), entry(t, o, 1, []byte("b")), entry(t, o, 2, []byte("c"))
	if a.Seq != 1 || b.Seq != 2 || c.Seq != 1 || !bytes.Equal(b.Head, a.Batch[:]) {
		t.Fatalf("sequence: got %d, %d, %d, want 1, 2, 1, each after the one before", a.Seq, b.Seq, c.Seq)
	}
	if err := errors.Join(o.receipt(a.Batch, 3, []byte("receipt")), o.done(b.Batch)); err != nil {
		t.Fatalf("note: %v", err)
	}
	if err := o.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	o = open(t, dir)
	if got := names(o); len(got) != 2 || !got[a.Batch] || !got[c.Batch] {
		t.Fatalf("reopened: got %d batches, want the two that are not done", len(got))
	}
	if got := o.waiting()[0].receipts[3]; string(got) != "receipt" {
		t.Errorf("receipt: got %q, want it kept", got)
	}
	back, err := o.load(c.Batch)
	if err != nil || !bytes.Equal(back.Pieces[0], []byte("c")) {
		t.Errorf("load: %v, piece %q, want the same bytes", err, back.Pieces)
	}
	if d := entry(t, o, 1, nil); d.Seq != 3 {
		t.Errorf("next number of line 1: got %d, want 3: a number is never used twice", d.Seq)
	}
}

// TestOutboxNumbersOutliveFiles: what is done leaves the disk, its numbers do
// not come again.
func TestOutboxNumbersOutliveFiles(t *testing.T) {
	dir := t.TempDir()
	last := uint64(0)
	for range 4 {
		o := open(t, dir)
		e := entry(t, o, 1, bytes.Repeat([]byte("x"), 1000))
		if e.Seq <= last {
			t.Fatalf("number: got %d after %d", e.Seq, last)
		}
		last = e.Seq
		if err := errors.Join(o.done(e.Batch), o.Close()); err != nil {
			t.Fatalf("close: %v", err)
		}
		open(t, dir).Close() // now the file that held the batch is gone
	}
	open(t, dir)
	list := files(t, dir)
	if len(list) != 1 {
		t.Errorf("files: got %d, want 1: all batches are done", len(list))
	}
}

// TestOutboxCutAnywhere is a kill at every byte: what was added before that
// byte is there, and the outbox opens.
func TestOutboxCutAnywhere(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	dir := t.TempDir()
	o := open(t, dir)
	file := files(t, dir)[0]
	type step struct {
		size int64
		has  []abaton.BatchName
	}
	var steps []step
	var have []abaton.BatchName
	note := func() {
		s, err := os.Stat(file)
		if err != nil {
			t.Fatalf("stat: %v", err)
		}
		steps = append(steps, step{s.Size(), append([]abaton.BatchName(nil), have...)})
	}
	note()
	for i := range 3 {
		have = append(have, entry(t, o, byte(i%2+1), []byte("piece")).Batch)
		note()
	}
	o.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	for cut := steps[0].size; cut <= int64(len(whole)); cut++ {
		tails := [][]byte{nil, make([]byte, 40), []byte("\xab\x07\x40\xb1torn")}
		tail, torn := tails[cut%3], t.TempDir()
		if err := os.WriteFile(filepath.Join(torn, filepath.Base(file)), append(whole[:cut:cut], tail...), 0o600); err != nil {
			t.Fatalf("write: %v", err)
		}
		got, err := OpenOutbox(torn, boxKey)
		if err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
		}
		for _, s := range steps {
			if s.size > cut {
				continue
			}
			for _, name := range s.has {
				if !names(got)[name] {
					t.Fatalf("cut at %d: a batch that was durable at %d is lost", cut, s.size)
				}
			}
		}
		if cut%16 != 0 {
			got.Close()
			continue
		}
		entry(t, got, 1, nil)
		got.Close()
		again, err := OpenOutbox(torn, boxKey)
		if err != nil {
			t.Fatalf("cut at %d, opened twice: %v", cut, err)
		}
		again.Close()
	}
}

// TestOutboxCorruption: a flipped bit where a later group proves that the
// bytes were durable once stops the outbox; it is never cut short in silence.
func TestOutboxCorruption(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	file := files(t, dir)[0]
	for range 4 {
		entry(t, o, 1, []byte("piece"))
	}
	before, err := os.Stat(file)
	if err != nil {
		t.Fatalf("stat: %v", err)
	}
	entry(t, o, 1, []byte("piece"))
	entry(t, o, 1, []byte("piece"))
	o.Close()
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	for at := range before.Size() {
		bad := bytes.Clone(whole)
		bad[at] ^= 0x10
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatalf("write: %v", err)
		}
		got, err := OpenOutbox(dir, boxKey)
		if !errors.Is(err, ErrOutbox) {
			if err == nil {
				got.Close()
			}
			t.Fatalf("bit flipped at %d of %d: got %v, want %v", at, len(whole), err, ErrOutbox)
		}
	}
}

func TestOutboxRefuses(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	entry(t, o, 1, nil)
	if _, err := OpenOutbox(dir, boxKey); !errors.Is(err, ErrOutboxBusy) {
		t.Errorf("second opener: got %v, want %v", err, ErrOutboxBusy)
	}
	o.Close()
	if _, err := OpenOutbox(dir, key.Secret{8}); !errors.Is(err, ErrOutbox) {
		t.Errorf("other key: got %v, want %v", err, ErrOutbox)
	}
	if _, err := OpenOutbox(t.TempDir(), key.Secret{}); err == nil {
		t.Error("no key: got an outbox, want an error")
	}
	if err := o.add(&outgoing{}); err == nil {
		t.Error("add after close: got nil, want an error")
	}
}

// TestOutboxStopsOnError: after a write that failed nothing is accepted any
// more, for what is durable is unknown.
func TestOutboxStopsOnError(t *testing.T) {
	o := open(t, t.TempDir())
	entry(t, o, 1, nil)
	o.files[len(o.files)-1].File.Close() // as if the disk went away
	if err := o.add(&outgoing{Batch: abaton.BatchName{1}}); err == nil {
		t.Fatal("add without a disk: got nil, want an error")
	}
	if err := o.add(&outgoing{Batch: abaton.BatchName{2}}); err == nil {
		t.Error("add after a failure: got nil, want an error")
	}
	if got := o.Len(); got != 1 {
		t.Errorf("batches: got %d, want only the one that is durable", got)
	}
}

func TestOutboxGroups(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() { entry(t, o, 1, []byte("p")) })
	}
	all.Wait()
	o.Close()
	o = open(t, dir)
	if got := o.Len(); got != 64 {
		t.Errorf("batches after 64 writers: got %d, want 64", got)
	}
	seen := make(map[uint64]bool)
	for _, it := range o.waiting() {
		out, err := o.load(it.name)
		if err != nil || seen[out.Seq] {
			t.Fatalf("number used twice or unreadable: %v", err)
		}
		seen[out.Seq] = true
	}
}

func TestMarksForget(t *testing.T) {
	m := newMarks()
	var first markKey
	for i := range 3 * marksMax / 2 {
		k := markKey{byte(i), byte(i >> 8), byte(i >> 16)}
		if i == 0 {
			first = k
			m.note(k, 41, [32]byte{1})
		}
		seq, _ := m.next(k)
		m.note(k, seq, [32]byte{2})
	}
	if len(m.by) > marksMax {
		t.Errorf("marks: got %d, want at most %d", len(m.by), marksMax)
	}
	if seq, _ := m.next(first); seq <= 42 {
		t.Errorf("forgotten pair: got number %d, want above 42", seq)
	}
	again := newMarks()
	again.take(m.form())
	if seq, _ := again.next(first); seq <= 42 {
		t.Errorf("forgotten pair after a restart: got number %d, want above 42", seq)
	}
}

// FuzzFrame: what is read as a frame is the one frame there is of it.
func FuzzFrame(f *testing.F) {
	box := newFrameBox(boxKey)
	f.Add(box.append(nil, 3, frameDone, []byte("body")))
	f.Add([]byte("\xab\x07\x40\xb1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		fr, err := frameAt(data)
		if err != nil {
			return
		}
		if fr.size > len(data) || fr.size < frameHeaderBytes {
			t.Fatalf("size %d of %d bytes", fr.size, len(data))
		}
		opened, err := box.read(data)
		if err == nil && (opened.kind != fr.kind || opened.group != fr.group) {
			t.Fatal("a frame that opens says two things")
		}
	})
}

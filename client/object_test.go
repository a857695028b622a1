package client_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
)

// testPart keeps the objects of tests small.
const testPart = 64 << 10

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// scan is the envelope of an object in the general line.
func (w *world) scan(id string) seal.Envelope {
	return seal.Envelope{Patient: w.patient.id, Line: w.root.Line(general), Type: "Binary", ID: id, VersionID: "v1", LastUpdated: 1}
}

func (w *world) upload(wr *client.Writer, id string) *client.Upload {
	e := w.scan(id)
	u := wr.NewUpload(e.Patient, e.Line, e.Type, e.ID, w.doctor.id, 1<<30)
	u.PartBytes = testPart
	return u
}

// putObject writes content in parts of testPart and then its record.
func (w *world) putObject(wr *client.Writer, id string, content []byte) *seal.Object {
	w.t.Helper()
	u := w.upload(wr, id)
	if err := wr.PutParts(w.t.Context(), u, bytes.NewReader(content), true, nothing); err != nil {
		w.t.Fatalf("put parts: %v", err)
	}
	return w.putManifest(wr, u)
}

func (w *world) putManifest(wr *client.Writer, u *client.Upload) *seal.Object {
	w.t.Helper()
	o, err := u.Object("application/dicom", "")
	if err != nil {
		w.t.Fatalf("object: %v", err)
	}
	e := w.scan(u.ID)
	e.Kind = seal.KindObject
	w.put(wr, client.Transaction{Writes: []client.Write{{Patient: e.Patient, Line: e.Line, Record: seal.Record{Envelope: e, Content: o.Marshal()}}}})
	return o
}

func nothing() error { return nil }

func refusedFor(err error, reason abaton.Reason) bool {
	refused, ok := errors.AsType[*abaton.RefusedError](err)
	return ok && refused.Reason == reason
}

// open is the object with that id, by the doctor's grant.
func (w *world) open(id string) (*client.Object, *client.Reader) {
	w.t.Helper()
	r, _, ask := w.reader()
	return w.openWith(r, ask, id), r
}

func (w *world) openWith(r *client.Reader, ask client.Ask, id string) *client.Object {
	w.t.Helper()
	chart, err := r.Chart(w.t.Context(), ask)
	if err != nil {
		w.t.Fatalf("chart: %v", err)
	}
	for i := range chart.Records {
		if e := chart.Records[i].Envelope; e.Kind == seal.KindObject && e.ID == id {
			o, err := r.Object(ask, e, chart.Records[i].Content)
			if err != nil {
				w.t.Fatalf("object: %v", err)
			}
			return o
		}
	}
	w.t.Fatalf("the chart has no object %s", id)
	return nil
}

func TestObject(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	content := randomBytes(3*testPart + 100)
	o, written, err := wr.PutObject(t.Context(), w.scan("whole"), "image/png", "Patient/ana", 1<<20, iotest.OneByteReader(bytes.NewReader(content[:2000])))
	if err != nil || written.At < 4 || o.Sum != sha256.Sum256(content[:2000]) || o.About != "Patient/ana" || len(o.Parts) != 1 {
		t.Fatalf("put object: got %+v, %+v, %v", o, written, err)
	}
	w.putObject(wr, "scan", content)
	reads := w.wires[1].count(keeper.RouteRequest)
	opened, _ := w.open("scan")
	if got := w.wires[1].count(keeper.RouteRequest) - reads; got > 2 {
		t.Errorf("the chart took %d requests to one keeper, want one list and one opening", got)
	}
	if opened.Size() != int64(len(content)) {
		t.Errorf("size: got %d, want %d", opened.Size(), len(content))
	}
	whole := int64(len(content))
	for _, c := range []struct{ offset, length int64 }{
		{0, whole}, {0, 1}, {whole - 1, 1}, {testPart - 1, 2}, {testPart, testPart}, {1, whole - 1}, {3 * testPart, 100}, {testPart + 5, 2 * testPart},
	} {
		var out bytes.Buffer
		n, err := opened.Copy(t.Context(), &out, c.offset, c.length)
		if err != nil || n != c.length || !bytes.Equal(out.Bytes(), content[c.offset:c.offset+c.length]) {
			t.Errorf("copy %d from %d: got %d bytes, %v, want the very bytes", c.length, c.offset, n, err)
		}
	}
	for _, c := range []struct{ offset, length int64 }{{-1, 2}, {0, 0}, {0, whole + 1}, {whole, 1}, {1, whole}, {1, 1<<63 - 1}} {
		if _, err := opened.Copy(t.Context(), io.Discard, c.offset, c.length); !errors.Is(err, client.ErrRange) {
			t.Errorf("copy %d from %d: got %v, want ErrRange", c.length, c.offset, err)
		}
	}
}

// TestPartsStayOut: a chart neither lists nor opens parts, and a list of parts
// nothing else.
func TestPartsStayOut(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "a", 3))
	o := w.putObject(wr, "scan", randomBytes(3*testPart))
	r, _, ask := w.reader()
	chart, err := r.Chart(t.Context(), ask)
	if err != nil || len(chart.Batches) != 2 || len(chart.Records) != 4 {
		t.Fatalf("chart: got %d batches, %d records, %v, want 2, 4", len(chart.Batches), len(chart.Records), err)
	}
	parts, err := r.Parts(t.Context(), ask)
	if err != nil || len(parts.Batches) != 3 {
		t.Fatalf("parts: got %d, %v, want 3", len(parts.Batches), err)
	}
	for _, b := range parts.Batches {
		if !slices.Contains(o.Parts, b.Name) || b.Records != 1 || !b.Saved {
			t.Errorf("parts: got %+v, want a saved part of the object", b)
		}
	}
	if got := client.Unnamed(parts.Batches, o); len(got) != 0 {
		t.Errorf("unnamed: got %d, want none", len(got))
	}
	// A keeper that slips parts into a chart's list is not believed.
	l := w.login(w.doctor, w.bundle())
	liar := w.readerOf(l)
	if _, err := liar.List(t.Context(), ask); err != nil { // opens the session at all keepers
		t.Fatalf("list: %v", err)
	}
	var slipped []keeper.Notice
	w.lie(1, l, func(reply *keeper.Reply) { slipped = reply.Notices })
	if _, err := liar.Parts(t.Context(), ask); err != nil || len(slipped) != 3 {
		t.Fatalf("parts: %v, %d notices to slip in, want 3", err, len(slipped))
	}
	w.lie(1, l, func(reply *keeper.Reply) { reply.Notices = append(reply.Notices, slipped...) })
	if list, err := liar.List(t.Context(), ask); err != nil || len(list.Batches) != 2 {
		t.Errorf("list: got %+v, %v, want the 2 batches of the chart", list, err)
	}
}

// cutReader breaks off after n bytes.
type cutReader struct {
	r io.Reader
	n int
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.n == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.r.Read(p[:min(len(p), c.n)])
	c.n -= n
	return n, err
}

func TestUploadGoesOn(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	content := randomBytes(5*testPart + 7)
	wr := w.writer(dir)
	u := w.upload(wr, "scan")
	notes := 0
	err := wr.PutParts(t.Context(), u, &cutReader{bytes.NewReader(content), 2*testPart + 9}, true, func() error { notes++; return nil })
	if !errors.Is(err, io.ErrUnexpectedEOF) || u.Bytes != 2*testPart || notes != 2 || len(u.Parts) != 2 {
		t.Fatalf("interrupted: got %v at %d after %d notes, want two whole parts", err, u.Bytes, notes)
	}
	// As after a crash: only what was stored is left.
	stored := *u
	stored.Parts, stored.Sum = slices.Clone(u.Parts), slices.Clone(u.Sum)
	if err := wr.PutParts(t.Context(), &stored, bytes.NewReader(content[2*testPart:4*testPart+5]), false, nothing); err != nil {
		t.Fatalf("go on: %v", err)
	}
	if stored.Bytes != 4*testPart {
		t.Errorf("go on: at %d, want what is whole, %d", stored.Bytes, 4*testPart)
	}
	if err := wr.PutParts(t.Context(), &stored, bytes.NewReader(content[4*testPart:]), true, nothing); err != nil {
		t.Fatalf("end: %v", err)
	}
	o := w.putManifest(wr, &stored)
	if o.Sum != sha256.Sum256(content) {
		t.Error("the sum over an interrupted upload is not that of the content")
	}
	opened, _ := w.open("scan")
	var out bytes.Buffer
	if _, err := opened.Copy(t.Context(), &out, 0, opened.Size()); err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Errorf("copy: %v, %d bytes, want the very bytes", err, out.Len())
	}
	// An ended upload does not go on: its last part was no whole one.
	if err := wr.PutParts(t.Context(), &stored, bytes.NewReader(content), true, nothing); err == nil {
		t.Error("an upload that has ended went on")
	}
}

func TestUploadStops(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	u := w.upload(wr, "large")
	u.BytesMax = 2*testPart + 1
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(randomBytes(2*testPart+2)), true, nothing); !errors.Is(err, seal.ErrTooLarge) {
		t.Errorf("over the limit: got %v, want ErrTooLarge", err)
	}
	u = w.upload(wr, "noted")
	full := errors.New("disk is full")
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(randomBytes(4*testPart)), true, func() error { return full }); !errors.Is(err, full) {
		t.Errorf("not noted: got %v, want the note's error", err)
	}
	u = w.upload(wr, "refused")
	u.Line = abaton.Line{9}
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(randomBytes(testPart)), true, nothing); !refusedFor(err, abaton.ReasonWriter) || u.Bytes != 0 {
		t.Errorf("no such line: got %v, want the refusal", err)
	}
	if _, err := w.upload(wr, "empty").Object("image/png", ""); err == nil {
		t.Error("an object of no bytes was made")
	}
	// What was left behind is listed, and named by nothing.
	r, _, ask := w.reader()
	parts, err := r.Parts(t.Context(), ask)
	if err != nil || len(client.Unnamed(parts.Batches)) < 3 {
		t.Errorf("orphans: got %v, %v, want the parts of both uploads", parts, err)
	}
}

// TestObjectPartFails: the part that cannot be read is named, and nothing of
// it or behind it is given out.
func TestObjectPartFails(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	content := randomBytes(4 * testPart)
	o := w.putObject(wr, "scan", content)
	out, err := w.net.Erase(t.Context(), w.patient.hand(), client.Row{Batch: o.Parts[2], Records: 1})
	if err != nil || !out.InForce {
		t.Fatalf("erase: %+v, %v", out, err)
	}
	opened, _ := w.open("scan")
	var got bytes.Buffer
	n, err := opened.Copy(t.Context(), &got, 0, opened.Size())
	part, ok := errors.AsType[*client.PartError](err)
	if !ok || part.Part != 2 || part.Of != 4 || part.Name.Batch != o.Parts[2] || !errors.Is(err, abaton.ErrErased) {
		t.Fatalf("copy: got %v, want part 3 of 4, erased", err)
	}
	if n != 2*testPart || !bytes.Equal(got.Bytes(), content[:2*testPart]) {
		t.Errorf("copy: got %d bytes, want the two parts before", n)
	}
	if _, err := opened.Copy(t.Context(), io.Discard, 3*testPart, testPart); err != nil {
		t.Errorf("the part behind: %v", err)
	}
}

// TestObjectLies: an object that names what is not its own is refused, and a
// whole that is not what its writer summed is never given out to its end.
func TestObjectLies(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	content := randomBytes(3 * testPart)
	o := w.putObject(wr, "scan", content)
	other := w.putObject(wr, "other", content)
	plain := w.put(wr, w.writes(general, "a", 1))
	r, _, ask := w.reader()
	e := w.scan("scan")
	e.Kind = seal.KindObject
	for name, c := range map[string]struct {
		change func(*seal.Object)
		want   error
		most   int64
	}{
		"another's part":  {func(o *seal.Object) { o.Parts[1] = other.Parts[1] }, seal.ErrFaulty, testPart},
		"a resource":      {func(o *seal.Object) { o.Parts[1] = plain.Batches[0] }, seal.ErrFaulty, testPart},
		"parts exchanged": {func(o *seal.Object) { o.Parts[0], o.Parts[1] = o.Parts[1], o.Parts[0] }, client.ErrSum, 2 * testPart},
		"a shorter last":  {func(o *seal.Object) { o.Bytes-- }, seal.ErrFaulty, 2 * testPart},
		"no such part":    {func(o *seal.Object) { o.Parts[0] = abaton.BatchName{1} }, nil, 0},
		"another sum":     {func(o *seal.Object) { o.Sum[0] ^= 1 }, client.ErrSum, 2 * testPart},
	} {
		forged := *o
		forged.Parts = slices.Clone(o.Parts)
		c.change(&forged)
		opened, err := r.Object(ask, e, forged.Marshal())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		n, err := opened.Copy(t.Context(), io.Discard, 0, opened.Size())
		if c.want == nil && refusedFor(err, abaton.ReasonNotFound) {
			err = nil
		}
		if !errors.Is(err, c.want) || n != c.most {
			t.Errorf("%s: got %d bytes and %v, want %d and %v", name, n, err, c.most, c.want)
		}
	}
}

// TestObjectGrantStopped: a grant that is stopped ends a download that is
// under way.
func TestObjectGrantStopped(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.putObject(wr, "scan", randomBytes(12*testPart))
	opened, _ := w.open("scan")
	stop := func() error {
		out, err := w.net.Revoke(context.WithoutCancel(t.Context()), w.patient.hand(), w.grant, false)
		if err != nil || !out.InForce {
			t.Errorf("revoke: %+v, %v", out, err)
		}
		return nil
	}
	n, err := opened.Copy(t.Context(), &stopAt{stop: stop, at: 2 * testPart}, 0, opened.Size())
	if !refusedFor(err, abaton.ReasonRevoked) {
		t.Errorf("copy: got %v, want the refusal", err)
	}
	if n > 6*testPart {
		t.Errorf("copy: %d bytes came after the grant was stopped, want no more than was under way", n)
	}
}

// stopAt calls stop once, when so many bytes have been written.
type stopAt struct {
	stop func() error
	at   int
}

func (s *stopAt) Write(p []byte) (int, error) {
	if s.at -= len(p); s.at <= 0 && s.stop != nil {
		stop := s.stop
		s.stop = nil
		return len(p), stop()
	}
	return len(p), nil
}

// TestObjectKeeperAway: with one keeper away an object is written and read;
// when it is back it gets its parts from the outbox.
func TestObjectKeeperAway(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.cut(5)
	content := randomBytes(8*testPart + 1)
	o := w.putObject(wr, "scan", content)
	if _, incomplete, _ := wr.Backlog(); incomplete != len(o.Parts)+1 {
		t.Errorf("backlog: got %d, want the %d parts and the record", incomplete, len(o.Parts)+1)
	}
	opened, _ := w.open("scan")
	var out bytes.Buffer
	if _, err := opened.Copy(t.Context(), &out, 0, opened.Size()); err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Errorf("copy: %v, want the very bytes", err)
	}
	w.mend(5)
	settled(t, wr)
}

// TestBacklog: when too much waits for a keeper that is away, large objects are
// refused and records are not.
func TestBacklog(t *testing.T) {
	w := newWorld(t)
	box, err := client.OpenOutbox(t.TempDir(), key.Secret{1})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	wr, err := w.net.NewWriter(client.WriterConfig{Outbox: box, Writer: w.org.signing,
		Author: seal.Author{Actor: w.org.id, Key: w.org.signing}, Backlog: 4 * testPart})
	if err != nil {
		t.Fatal(err)
	}
	w.cut(5)
	u := w.upload(wr, "scan")
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(randomBytes(12*testPart)), true, nothing); !errors.Is(err, client.ErrBacklog) || u.Bytes == 0 {
		t.Errorf("with a full outbox: got %v at %d, want ErrBacklog behind the first parts", err, u.Bytes)
	}
	if held := box.Held(); held < 4*testPart || held > 12*testPart {
		t.Errorf("the outbox says it holds %d bytes, want a little more than the bound", held)
	}
	w.put(wr, w.writes(general, "ordinary", 1))
	w.mend(5)
	settled(t, wr)
	if held := box.Held(); held != 0 {
		t.Errorf("the outbox says it holds %d bytes when all is at all keepers", held)
	}
}

func TestObjectsAtOnce(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	contents := [][]byte{randomBytes(5 * testPart), randomBytes(4*testPart + 3)}
	done := make(chan error, 2)
	uploads := []*client.Upload{w.upload(wr, "one"), w.upload(wr, "two")}
	for i, u := range uploads {
		go func() { done <- wr.PutParts(t.Context(), u, bytes.NewReader(contents[i]), true, nothing) }()
	}
	if err := errors.Join(<-done, <-done); err != nil {
		t.Fatalf("put parts: %v", err)
	}
	for i, u := range uploads {
		w.putManifest(wr, u)
		opened, _ := w.open(u.ID)
		var out bytes.Buffer
		if _, err := opened.Copy(t.Context(), &out, 0, opened.Size()); err != nil || !bytes.Equal(out.Bytes(), contents[i]) {
			t.Errorf("copy: %v, want the very bytes", err)
		}
	}
}

// TestUploadWithoutQuorum: where too few keepers have room for a part, the
// upload stops, says so, and goes on when they have.
func TestUploadWithoutQuorum(t *testing.T) {
	if testing.Short() {
		t.Skip("runs once, without the race detector")
	}
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	content := randomBytes(4 * testPart)
	u := w.upload(wr, "scan")
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(content[:testPart]), false, nothing); err != nil {
		t.Fatalf("put parts: %v", err)
	}
	full := func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
		if route == keeper.RouteDeposit {
			return nil, abaton.Refuse(abaton.ReasonStorage)
		}
		return next(body)
	}
	for _, x := range []abaton.KeeperIndex{4, 5} {
		w.wires[x].set(func(c *cable) { c.tap = full })
	}
	rest := &counted{r: bytes.NewReader(content[testPart:])}
	if err := wr.PutParts(t.Context(), u, rest, true, nothing); !errors.Is(err, abaton.ErrPending) || u.Bytes != testPart {
		t.Fatalf("without a quorum: got %v at %d, want pending at %d", err, u.Bytes, testPart)
	}
	w.mend(4, 5)
	if err := wr.PutParts(t.Context(), u, bytes.NewReader(content[testPart:]), true, nothing); err != nil {
		t.Fatalf("go on: %v", err)
	}
	w.putManifest(wr, u)
	opened, _ := w.open("scan")
	var out bytes.Buffer
	if _, err := opened.Copy(t.Context(), &out, 0, opened.Size()); err != nil || !bytes.Equal(out.Bytes(), content) {
		t.Errorf("copy: %v, want the very bytes", err)
	}
}

// counted tells how much was read.
type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// TestUploadHoldsBack: while the parts under way wait for their receipts,
// nothing more is read than they and the next one.
func TestUploadHoldsBack(t *testing.T) {
	w := newWorld(t)
	wr := w.writer(t.TempDir())
	w.put(wr, w.writes(general, "before", 1)) // the key log is known
	free := make(chan struct{})
	hold := func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
		if route == keeper.RouteDeposit {
			<-free
		}
		return next(body)
	}
	var held atomic.Int32
	for x := range w.wires {
		w.wires[x].set(func(c *cable) {
			c.tap = func(route string, body []byte, next func([]byte) ([]byte, error)) ([]byte, error) {
				if route == keeper.RouteDeposit {
					held.Add(1)
				}
				return hold(route, body, next)
			}
		})
	}
	body := &counted{r: bytes.NewReader(randomBytes(12 * testPart))}
	done := make(chan error, 1)
	go func() { done <- wr.PutParts(t.Context(), w.upload(wr, "scan"), body, true, nothing) }()
	for held.Load() < 5 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	if got := body.n.Load(); got > 4*testPart {
		t.Errorf("read %d bytes with no part acknowledged, want at most four parts", got)
	}
	close(free)
	if err := <-done; err != nil {
		t.Errorf("put parts: %v", err)
	}
	if got := body.n.Load(); got != 12*testPart {
		t.Errorf("read %d bytes, want all", got)
	}
}

package main

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// objects streams one large object in and out through a gateway and five
// keepers, all live processes on this machine, and takes their peak memory.
func objects(ctx context.Context, b *bench) error {
	pipe := bareBytes(256 << 20)
	b.add(row{Name: "bare primitives, 1 MiB parts", Value: pipe, Unit: "MB/s", Detail: "AES-256-GCM + RS 3 of 5 + SHA-256 of text and fragments, one core"})
	cat, err := bareCat(1 << 30)
	if err != nil {
		return err
	}
	b.add(row{Name: "bare loopback TLS 1.3, one way", Value: cat, Unit: "MB/s", Detail: "cat: nothing is done with the bytes"})
	dir, err := os.MkdirTemp("", "abaton-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o, err := newObjectClinic(ctx, b, filepath.Join(dir, "net"))
	if err != nil {
		return err
	}
	defer o.processes.Stop()
	if err := o.measure(ctx, b, pipe); err != nil {
		return err
	}
	return o.killed(ctx, b)
}

// objectClinic is a network with one patient whose record one person reads.
type objectClinic struct {
	processes *local.Processes
	bin       string
	office    *people.Person
	patient   *people.Person
	session   *people.Session
	id        string // of the Patient
}

func newObjectClinic(ctx context.Context, b *bench, dir string) (*objectClinic, error) {
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return nil, err
	}
	n, err := local.Make(ctx, dir, local.Options{Binaries: bin})
	if err != nil {
		return nil, err
	}
	p, err := n.Start(ctx, bin)
	if err != nil {
		return nil, err
	}
	o := &objectClinic{processes: p, bin: bin}
	if err := o.people(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return o, nil
}

func (o *objectClinic) people(ctx context.Context) error {
	n := o.processes.Network
	org, err := n.Organisation()
	if err != nil {
		return err
	}
	c, hangUp, err := n.Client(org.Manage)
	if err != nil {
		return err
	}
	defer hangUp()
	if o.office, err = n.People().NewClinician("office", "Office", org); err != nil {
		return err
	}
	if o.patient, err = n.People().NewPatient("patient", "", nil, org, people.Importing(o.office)); err != nil {
		return err
	}
	if err := errors.Join(n.Enlist(ctx, c, o.office), people.Introduce(ctx, c, o.patient)); err != nil {
		return err
	}
	terms := people.Terms{To: o.office, Actions: grant.Read, Directory: true, Purpose: abaton.Operations, Life: time.Hour, Quota: people.RecordsMax}
	if _, _, err := org.Give(ctx, c, terms); err != nil {
		return err
	}
	if err := o.signIn(ctx); err != nil {
		return err
	}
	resp, err := o.do(ctx, http.MethodPost, "/Patient", strings.NewReader(`{"resourceType":"Patient"}`),
		"Content-Type", "application/fhir+json", "Abaton-Patient", o.patient.ID.String())
	if err != nil {
		return err
	}
	parts := strings.Split(resp.Header.Get("Location"), "/")
	o.id = parts[len(parts)-3]
	return resp.Body.Close()
}

func (o *objectClinic) signIn(ctx context.Context) error {
	n := o.processes.Network
	c, hangUp, err := n.Client(o.office.Manage)
	if err != nil {
		return err
	}
	defer hangUp()
	org, err := n.Organisation()
	if err != nil {
		return err
	}
	bundles, err := o.office.HeldOf(ctx, c, o.patient.ID, org.ID)
	if err != nil {
		return err
	}
	o.session, err = n.People().SignIn(ctx, o.office, n.GatewayURL(), bundles)
	return err
}

// do asks the gateway; any status above 299 is an error.
func (o *objectClinic) do(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	r, err := o.session.Request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if sized, ok := body.(*stream); ok {
		r.ContentLength = sized.left
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode > 299 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		resp.Body.Close()
		return nil, fmt.Errorf("%s: status %d: %s", method, resp.StatusCode, text)
	}
	return resp, nil
}

// stream is so many bytes that no compressor shortens, the same for the same
// seed, from any place on.
type stream struct {
	source cipher.Stream
	left   int64
	sum    hash.Hash
}

func newStream(seed byte, offset, length int64) *stream {
	block, err := aes.NewCipher(bytes.Repeat([]byte{seed}, 32))
	if err != nil {
		panic("bench: 32 bytes are an AES key")
	}
	var iv [16]byte
	at := offset / 16
	for i := range 8 {
		iv[15-i] = byte(at >> (8 * i))
	}
	s := &stream{source: cipher.NewCTR(block, iv[:]), left: length, sum: sha256.New()}
	skipped := make([]byte, offset%16)
	s.source.XORKeyStream(skipped, skipped)
	return s
}

// Read gives the next bytes.
func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), s.left))
	clear(p[:n])
	s.source.XORKeyStream(p[:n], p[:n])
	s.sum.Write(p[:n])
	s.left -= int64(n)
	return n, nil
}

// upload begins one and returns its path.
func (o *objectClinic) upload(ctx context.Context) (string, error) {
	resp, err := o.do(ctx, http.MethodPost, "/Binary/$upload", http.NoBody, "Content-Type", "application/dicom", "X-Security-Context", "Patient/"+o.id)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(resp.Header.Get("Location"), o.session.URL), resp.Body.Close()
}

// send sends the rest of an upload and returns the path of the Binary.
func (o *objectClinic) send(ctx context.Context, path string, s *stream, offset int64) (string, error) {
	resp, err := o.do(ctx, http.MethodPatch, path, s, "Content-Type", "application/partial-upload",
		"Upload-Offset", strconv.FormatInt(offset, 10), "Upload-Complete", "?1")
	if err != nil {
		return "", err
	}
	parts := strings.Split(resp.Header.Get("Location"), "/")
	return "/Binary/" + parts[len(parts)-3], resp.Body.Close()
}

// sumOf reads a Binary to its end.
func (o *objectClinic) sumOf(ctx context.Context, path string) (string, error) {
	resp, err := o.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	sum := sha256.New()
	_, err = io.Copy(sum, resp.Body)
	return hex.EncodeToString(sum.Sum(nil)), err
}

func (o *objectClinic) measure(ctx context.Context, b *bench, bare float64) error {
	size := b.object
	if err := o.charts(ctx, b, "chart without a large object, cold, p50"); err != nil {
		return err
	}
	before, _, err := o.peaks()
	if err != nil {
		return err
	}
	path, err := o.upload(ctx)
	if err != nil {
		return err
	}
	s := newStream(1, 0, size)
	start := time.Now()
	at, err := o.send(ctx, path, s, 0)
	if err != nil {
		return fmt.Errorf("object in: %w", err)
	}
	in := float64(size) / 1e6 / time.Since(start).Seconds()
	afterIn, _, err := o.peaks()
	if err != nil {
		return err
	}
	start = time.Now()
	got, err := o.sumOf(ctx, at)
	if err != nil {
		return fmt.Errorf("object out: %w", err)
	}
	out := float64(size) / 1e6 / time.Since(start).Seconds()
	if got != hex.EncodeToString(s.sum.Sum(nil)) {
		return errors.New("the object that came out is not the one that went in")
	}
	gateway, most, err := o.peaks()
	if err != nil {
		return err
	}
	detail := fmt.Sprintf("%d bytes, incompressible; five keepers, gateway and client on this machine", size)
	b.add(row{Name: "object in, all durable", Value: in, Unit: "MB/s", Limit: bare, LimitName: "bare primitives, one core", Detail: detail})
	b.add(row{Name: "object out, checked", Value: out, Unit: "MB/s", Limit: bare, LimitName: "bare primitives, one core", Detail: detail})
	b.add(row{Name: "gateway, peak memory before", Value: before, Unit: "MB", Detail: "VmHWM"})
	b.add(row{Name: "gateway, peak memory after object in", Value: afterIn, Unit: "MB", Budget: "< 100 MB", Detail: "VmHWM"})
	b.add(row{Name: "gateway, peak memory after object in and out", Value: gateway, Unit: "MB", Budget: "< 100 MB", Detail: "VmHWM"})
	b.add(row{Name: "keeper, peak memory, the largest of five", Value: most, Unit: "MB", Detail: "VmHWM"})
	return o.besides(ctx, b, at, size)
}

// besides measures ranges, and the chart that has the object in it.
func (o *objectClinic) besides(ctx context.Context, b *bench, path string, size int64) error {
	var ranges []time.Duration
	for i := range int64(60) {
		from := (i * 7919 * 65536) % (size - 65536)
		start := time.Now()
		resp, err := o.do(ctx, http.MethodGet, path, nil, "Range", fmt.Sprintf("bytes=%d-%d", from, from+65535))
		if err != nil {
			return fmt.Errorf("range: %w", err)
		}
		got, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			return fmt.Errorf("range: %w", err)
		}
		ranges = append(ranges, time.Since(start))
		want, _ := io.ReadAll(newStream(1, from, 65536))
		if !bytes.Equal(got, want) {
			return errors.New("a range is not what went in")
		}
	}
	b.add(row{Name: "range of 64 KiB, p50", Value: percentile(ranges, 0.5), Unit: "ms", Detail: "one part from three keepers each"})
	return o.charts(ctx, b, "chart with that object in it, cold, p50")
}

// charts opens the patient's chart in new sessions.
func (o *objectClinic) charts(ctx context.Context, b *bench, name string) error {
	var all []time.Duration
	for range 10 {
		if err := o.signIn(ctx); err != nil {
			return err
		}
		start := time.Now()
		resp, err := o.do(ctx, http.MethodGet, "/Patient/"+o.id+"/$everything", nil)
		if err != nil {
			return fmt.Errorf("chart: %w", err)
		}
		resp.Body.Close()
		all = append(all, time.Since(start))
	}
	b.add(row{Name: name, Value: percentile(all, 0.5), Unit: "ms", Detail: "new session each time; parts are neither listed nor opened"})
	return nil
}

// killed kills the gateway in the middle of an upload, which then goes on.
func (o *objectClinic) killed(ctx context.Context, b *bench) error {
	const size = 256 << 20
	path, err := o.upload(ctx)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	half := newStream(2, 0, size)
	gate := &gated{stream: half, at: size / 2, reached: make(chan struct{})}
	go func() {
		resp, err := o.do(ctx, http.MethodPatch, path, gate, "Content-Type", "application/partial-upload", "Upload-Offset", "0", "Upload-Complete", "?1")
		if err == nil {
			resp.Body.Close()
		}
		failed <- err
	}()
	<-gate.reached
	if err := o.processes.KillGateway(); err != nil {
		return err
	}
	if <-failed == nil {
		return errors.New("an upload to a killed gateway was acknowledged")
	}
	if err := o.processes.StartGateway(ctx, local.Build{}); err != nil {
		return err
	}
	if err := o.signIn(ctx); err != nil {
		return err
	}
	resp, err := o.do(ctx, http.MethodHead, path, nil)
	if err != nil {
		return err
	}
	offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		return err
	}
	at, err := o.send(ctx, path, newStream(2, offset, size-offset), offset)
	if err != nil {
		return fmt.Errorf("go on: %w", err)
	}
	got, err := o.sumOf(ctx, at)
	if err != nil {
		return err
	}
	all := newStream(2, 0, size)
	if _, err := io.Copy(io.Discard, all); err != nil {
		return err
	}
	if got != hex.EncodeToString(all.sum.Sum(nil)) {
		return errors.New("after the kill, the object that came out is not the one that went in")
	}
	b.add(row{Name: "sent again after kill -9 of the gateway", Value: float64(size/2-offset) / 1e6, Unit: "MB", Detail: fmt.Sprintf("killed when %d of %d bytes were read; went on at %d", size/2, size, offset)})
	return nil
}

// gated tells when it has been read so far.
type gated struct {
	*stream
	at      int64
	reached chan struct{}
}

// Read reads on.
func (g *gated) Read(p []byte) (int, error) {
	n, err := g.stream.Read(p)
	if g.at > 0 {
		if g.at -= int64(n); g.at <= 0 {
			close(g.reached)
		}
	}
	return n, err
}

package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/seal"
)

// Bounds of reading large objects.
const (
	// readAhead is how many parts beyond the one being written out are
	// fetched.
	readAhead = 2
	// partHedge is how long the keepers asked first have for a part.
	partHedge = 2 * time.Second
)

// ErrRange means that a range lies outside the object.
var ErrRange = errors.New("range is outside the object")

// ErrSum means that the parts are not the whole that the writer named.
var ErrSum = errors.New("the whole does not have the sum that its writer gave")

// PartError says which part of a large object could not be read. Err is that
// of Missing, a refusal or abaton.ErrUnavailable; or seal.ErrFaulty for a part
// that is not what the object's record says.
type PartError struct {
	Part, Of int // from 0
	Name     abaton.RecordName
	Err      error
}

func (e *PartError) Error() string {
	return fmt.Sprintf("part %d of %d: %v", e.Part+1, e.Of, e.Err)
}

// Unwrap is the cause.
func (e *PartError) Unwrap() error { return e.Err }

// Object is a large object to be read. Every part takes three keepers that
// check the grant and ledger it, at the time it is read. Safe for concurrent
// use.
type Object struct {
	r        *Reader
	ask      Ask
	envelope seal.Envelope
	manifest *seal.Object

	mu     sync.Mutex
	faults []Fault
}

// Object prepares to read a large object from its opened record: envelope and
// content of kind seal.KindObject. It asks nothing yet.
func (r *Reader) Object(a Ask, envelope seal.Envelope, content []byte) (*Object, error) {
	manifest, err := seal.ParseObject(content)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	a.hedge, a.Lines = partHedge, []abaton.Line{envelope.Line}
	return &Object{r: r, ask: a, envelope: envelope, manifest: manifest}, nil
}

// Manifest is what the object's record says of it.
func (o *Object) Manifest() *seal.Object { return o.manifest }

// Size is the length of the whole in bytes.
func (o *Object) Size() int64 { return int64(o.manifest.Bytes) }

// Faults are the proofs against keepers and writers that reading has found.
func (o *Object) Faults() []Fault {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.faults
}

// Copy writes length bytes from offset on to w, in order, each part only once
// it is opened and checked. Of the whole object the last part is written only
// when all of it has the sum that its writer gave. It returns how many bytes
// were written. Errors: ErrRange, a *PartError, ErrSum, or w's own.
func (o *Object) Copy(ctx context.Context, w io.Writer, offset, length int64) (written int64, err error) {
	if offset < 0 || length < 1 || offset > o.Size()-length {
		return 0, ErrRange
	}
	c := &copying{o: o, w: w, from: offset, to: offset + length}
	if length == o.Size() {
		c.sum = sha256.New()
	}
	var fetches sync.WaitGroup
	defer fetches.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := int64(o.manifest.PartBytes)
	next, last := int(offset/size), int((offset+length-1)/size)
	var ahead []chan fetched
	for i := next; i <= last; i++ {
		for ; next <= last && next <= i+readAhead; next++ {
			ahead = append(ahead, o.start(ctx, &fetches, next))
		}
		part := <-ahead[0]
		ahead = ahead[1:]
		if part.err != nil {
			return c.written, part.err
		}
		if err := c.give(i, part.content); err != nil {
			return c.written, err
		}
	}
	return c.written, nil
}

// copying is one Copy.
type copying struct {
	o        *Object
	w        io.Writer
	from, to int64
	sum      hash.Hash // of the whole object only
	written  int64
}

// give writes what of part i was asked for.
func (c *copying) give(i int, content []byte) error {
	start := int64(i) * int64(c.o.manifest.PartBytes)
	end := start + int64(len(content))
	if c.sum != nil {
		c.sum.Write(content)
		if end == c.to && [32]byte(c.sum.Sum(nil)) != c.o.manifest.Sum {
			return fmt.Errorf("read object: %w", ErrSum)
		}
	}
	n, err := c.w.Write(content[max(c.from, start)-start : min(c.to, end)-start])
	c.written += int64(n)
	if err != nil {
		return fmt.Errorf("write out object: %w", err)
	}
	return nil
}

// fetched is a part, or why there is none.
type fetched struct {
	content []byte
	err     error
}

// start fetches part i in the background.
func (o *Object) start(ctx context.Context, fetches *sync.WaitGroup, i int) chan fetched {
	out := make(chan fetched, 1)
	fetches.Go(func() {
		content, err := o.part(ctx, i)
		if err != nil {
			name := abaton.RecordName{Batch: o.manifest.Parts[i]}
			err = &PartError{Part: i, Of: len(o.manifest.Parts), Name: name, Err: err}
		}
		out <- fetched{content, err}
	})
	return out
}

// part opens one part and holds it against the object's record.
func (o *Object) part(ctx context.Context, i int) ([]byte, error) {
	select {
	case o.r.n.partsOut <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-o.r.n.partsOut }()
	got, err := o.r.Get(ctx, o.ask, Row{Batch: o.manifest.Parts[i], Records: 1})
	if err != nil {
		return nil, err
	}
	if len(got.Faults) > 0 {
		o.mu.Lock()
		o.faults = append(o.faults, got.Faults...)
		o.mu.Unlock()
	}
	switch {
	case len(got.Missing) > 0:
		return nil, got.Missing[0].Err
	case len(got.Records) != 1:
		return nil, abaton.ErrNotFound
	}
	record := &got.Records[0]
	if !o.manifest.Owns(&o.envelope, &record.Envelope) || len(record.Content) != o.manifest.PartLength(i) {
		return nil, seal.ErrFaulty
	}
	return record.Content, nil
}

// Unnamed are the part batches of a listing that no object names: uploads that
// are under way or were never finished. Objects must be all versions of all
// objects in the lines of the listing.
func Unnamed(parts []Batch, objects ...*seal.Object) (orphans []Batch) {
	named := make(map[abaton.BatchName]struct{})
	for _, o := range objects {
		for _, p := range o.Parts {
			named[p] = struct{}{}
		}
	}
	for _, b := range parts {
		if _, ok := named[b.Name]; !ok {
			orphans = append(orphans, b)
		}
	}
	return orphans
}

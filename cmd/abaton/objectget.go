package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// getting writes one object, or a range of it, to a file.
type getting struct {
	e             *env
	caller        *caller
	id, out, span string

	file  *os.File
	sum   hash.Hash
	have  int64 // bytes written
	total int64 // bytes to be written; -1 until the gateway has told
	tag   string
	said  string // the sum its writer gave
	kind  string
	bar   *meter
}

// gotObject is what came of it.
type gotObject struct {
	V       int     `json:"v"`
	ID      string  `json:"id"`
	Type    string  `json:"type"`
	Bytes   int64   `json:"bytes"`
	SHA256  string  `json:"sha256"`
	Checked bool    `json:"checked"` // against the sum that its writer gave: the whole only
	Seconds float64 `json:"seconds"`
}

// spanForm is FROM-TO, FROM- or -LAST.
const spanForm = `^([0-9]{1,15}-[0-9]{0,15}|-[0-9]{1,15})$`

func (g *getting) rangeFits() bool {
	return g.span == "" || regexp.MustCompile(spanForm).MatchString(g.span)
}

func (g *getting) run(ctx context.Context) (_ *gotObject, err error) {
	began := time.Now()
	if err := g.caller.signIn(ctx); err != nil {
		return nil, err
	}
	// What is not whole never has the file's name.
	part := g.out + ".part"
	if g.file, err = os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, fmt.Errorf("write file: %w", err)
	}
	g.sum, g.total = sha256.New(), -1
	err = g.fetch(ctx)
	g.bar.finish()
	checked := err == nil && g.span == "" && g.said != ""
	sum := g.sum.Sum(nil)
	if checked && g.said != "sha-256=:"+base64.StdEncoding.EncodeToString(sum)+":" {
		err = errors.New("the object that came is not the one its writer named")
	}
	err = errors.Join(err, g.file.Sync(), g.file.Close())
	if err == nil {
		err = os.Rename(part, g.out)
	}
	if err != nil {
		return nil, errors.Join(err, os.Remove(part))
	}
	return &gotObject{V: 1, ID: g.id, Type: g.kind, Bytes: g.have, SHA256: hex.EncodeToString(sum), Checked: checked, Seconds: time.Since(began).Seconds()}, nil
}

// fetch reads until all is there, again and again while something moves.
func (g *getting) fetch(ctx context.Context) error {
	best, wait := int64(-1), objectWait
	for try := 1; ; try++ {
		err := g.some(ctx)
		if err == nil {
			return nil
		}
		if g.have > best {
			best, try, wait = g.have, 1, objectWait
		}
		if final(err) || ctx.Err() != nil || try >= objectTries {
			return err
		}
		if err := g.caller.again(ctx, err, wait); err != nil {
			return err
		}
		wait *= 2
	}
}

// Errors of an object that is read.
var (
	errPart    = errors.New("the object broke off; part of it cannot be read, or the line is bad")
	errNoRange = errors.New("the gateway gave no range")
	errChanged = errors.New("the object was changed meanwhile; begin again")
)

func (g *getting) some(ctx context.Context) error {
	var headers []string
	switch {
	case g.have > 0:
		headers = []string{"Range", "bytes=" + g.rest(), "If-Range", g.tag}
	case g.span != "":
		headers = []string{"Range", "bytes=" + g.span}
	}
	resp, err := g.caller.ask(ctx, http.MethodGet, "/Binary/"+g.id, nil, append(headers, "Accept", "*/*")...)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if g.have == 0 {
		g.tag, g.said, g.kind, g.total = resp.Header.Get("ETag"), resp.Header.Get("Repr-Digest"), resp.Header.Get("Content-Type"), resp.ContentLength
		g.bar = newMeter(g.e, "read", 0, g.total)
	}
	if (g.have > 0 || g.span != "") && resp.StatusCode != http.StatusPartialContent {
		return errNoRange
	}
	if g.have > 0 && resp.Header.Get("ETag") != g.tag {
		return errChanged
	}
	g.first(resp.Header.Get("Content-Range"))
	n, err := io.Copy(io.MultiWriter(g.file, g.sum, g.bar), resp.Body)
	g.have += n
	if err != nil || g.have != g.total {
		return errPart
	}
	return nil
}

// first turns a range that counts from the end into one from the start, so
// that it can be gone on with.
func (g *getting) first(answered string) {
	text, ok := strings.CutPrefix(answered, "bytes ")
	if span, _, cut := strings.Cut(text, "/"); ok && cut && g.have == 0 {
		g.span = span
	}
}

// rest is the range of what is missing.
func (g *getting) rest() string {
	from, to, _ := strings.Cut(g.span, "-")
	start, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		start = 0
	}
	return strconv.FormatInt(start+g.have, 10) + "-" + to
}

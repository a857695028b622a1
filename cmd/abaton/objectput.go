package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/people"
)

// How often an object is gone on with when nothing moves, and the first of the
// growing waits between.
const (
	objectTries = 8
	objectWait  = 500 * time.Millisecond
)

// putting brings one file in.
type putting struct {
	e                                *env
	caller                           *caller
	file, patient, content, category string
	resume                           bool

	source *os.File
	size   int64
	note   string // file that remembers the upload
}

// putObject is what came of it.
type putObject struct {
	V       int     `json:"v"`
	ID      string  `json:"id"`
	Version string  `json:"version"`
	Type    string  `json:"type"`
	Bytes   int64   `json:"bytes"`
	Resumed int64   `json:"resumed"` // bytes that were there from before
	Seconds float64 `json:"seconds"`
}

func (p *putting) run(ctx context.Context) (*putObject, error) {
	began := time.Now()
	if err := p.open(); err != nil {
		return nil, err
	}
	defer p.source.Close()
	if err := p.caller.signIn(ctx); err != nil {
		return nil, err
	}
	path, err := p.begin(ctx)
	if err != nil {
		return nil, err
	}
	out, err := p.send(ctx, path)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(p.note); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("forget upload: %w", err)
	}
	out.V, out.Type, out.Bytes, out.Seconds = 1, p.content, p.size, time.Since(began).Seconds()
	return out, nil
}

func (p *putting) open() (err error) {
	if p.content == "" {
		p.content = typeOf(p.file)
	}
	if p.source, err = os.Open(p.file); err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	info, err := p.source.Stat()
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return usage("%s is no file with content", p.file)
	}
	p.size = info.Size()
	full, err := filepath.Abs(p.file)
	if err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	// The same file, for the same patient: another one is another upload.
	name := sha256.Sum256([]byte(strings.Join([]string{full, strconv.FormatInt(p.size, 10), info.ModTime().String(), p.patient, p.content, p.category}, "\x00")))
	p.note = filepath.Join(p.caller.at.People().Dir(p.caller.who.Handle), "upload-"+hex.EncodeToString(name[:8]))
	return nil
}

// begin is the path of a new upload, or of the one that was ended.
func (p *putting) begin(ctx context.Context) (string, error) {
	if p.resume {
		text, err := os.ReadFile(p.note)
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("find upload: %w", err)
		}
	}
	header, value, err := p.caller.about(p.patient)
	if err != nil {
		return "", err
	}
	headers := []string{"Content-Type", p.content, header, value, "Upload-Length", strconv.FormatInt(p.size, 10)}
	if p.category != "" {
		headers = append(headers, "Abaton-Category", p.category)
	}
	resp, err := p.caller.ask(ctx, http.MethodPost, "/Binary/$upload", nil, headers...)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	path := strings.TrimPrefix(resp.Header.Get("Location"), p.caller.session.URL)
	// Whoever has the name of an upload and its owner's session can go on
	// with it.
	return path, durable.WriteFile(p.note, []byte(path), 0o600)
}

// send sends what is not there yet, again and again while something moves.
func (p *putting) send(ctx context.Context, path string) (*putObject, error) {
	out := &putObject{}
	var bar *meter
	best, wait := int64(-1), objectWait
	for try := 1; ; try++ {
		at, done, err := p.stands(ctx, path)
		if err == nil && done != "" {
			bar.finish()
			return p.ended(out, done), nil
		}
		if err == nil {
			if bar == nil {
				out.Resumed = at
				bar = newMeter(p.e, "sent", at, p.size)
			}
			if at > best {
				best, try, wait = at, 1, objectWait
			}
			bar.at(at)
			done, err = p.rest(ctx, path, at, bar)
			if err == nil {
				bar.finish()
				return p.ended(out, done), nil
			}
		}
		if final(err) || ctx.Err() != nil || try >= objectTries {
			bar.finish()
			return nil, err
		}
		if err := p.caller.again(ctx, err, wait); err != nil {
			return nil, err
		}
		wait *= 2
	}
}

// stands asks how much is durable; location, if all of it.
func (p *putting) stands(ctx context.Context, path string) (at int64, location string, err error) {
	resp, err := p.caller.ask(ctx, http.MethodHead, path, nil)
	if err != nil {
		return 0, "", err
	}
	resp.Body.Close()
	if resp.Header.Get("Upload-Complete") == "?1" {
		return p.size, resp.Header.Get("Location"), nil
	}
	at, err = strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil || at > p.size {
		return 0, "", errors.New("go on with upload: the gateway's answer makes no sense")
	}
	return at, "", nil
}

func (p *putting) rest(ctx context.Context, path string, at int64, bar *meter) (location string, err error) {
	body := io.TeeReader(io.NewSectionReader(p.source, at, p.size-at), bar)
	resp, err := p.caller.ask(ctx, http.MethodPatch, path, &sized{body, p.size - at}, "Content-Type", "application/partial-upload",
		"Upload-Offset", strconv.FormatInt(at, 10), "Upload-Complete", "?1")
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	return resp.Header.Get("Location"), nil
}

func (p *putting) ended(out *putObject, location string) *putObject {
	parts := strings.Split(location, "/")
	if n := len(parts); n >= 3 {
		out.ID, out.Version = parts[n-3], parts[n-1]
	}
	return out
}

// sized is a body whose length is known.
type sized struct {
	io.Reader
	length int64
}

// finish clears the line.
func (m *meter) finish() {
	if m != nil {
		m.end()
	}
}

// at sets the line back: what was sent and did not arrive is sent again.
func (m *meter) at(done int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done = done
}

// final reports whether trying again cannot help.
func final(err error) bool {
	if errors.Is(err, errNoRange) || errors.Is(err, errChanged) {
		return true
	}
	g, ok := errors.AsType[*people.GatewayError](err)
	if !ok {
		return false // the line, or the gateway's process
	}
	return g.Status < 500 && g.Status != http.StatusUnauthorized && g.Status != http.StatusTooManyRequests &&
		g.Status != http.StatusConflict && g.Status != http.StatusRequestTimeout
}

// again waits, and signs in anew where that is what is missing.
func (c *caller) again(ctx context.Context, err error, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if errors.Is(err, people.ErrSignIn) || !isGateway(err) {
		if err := c.signIn(ctx); err != nil && final(err) {
			return err
		}
	}
	return nil
}

func isGateway(err error) bool {
	_, ok := errors.AsType[*people.GatewayError](err)
	return ok
}

// signIn signs the caller in; the session it had goes on being used if that
// does not work.
func (c *caller) signIn(ctx context.Context) error {
	s, _, err := signIn(ctx, c.at, c.who)
	if err == nil {
		c.session = s
	}
	return err
}

// ask asks the gateway; a refusal is a *people.GatewayError.
func (c *caller) ask(ctx context.Context, method, path string, body io.Reader, headers ...string) (*http.Response, error) {
	r, err := c.session.Request(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	if s, ok := body.(*sized); ok {
		r.ContentLength = s.length
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, fmt.Errorf("ask gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil || !json.Valid(text) {
			text = nil
		}
		return nil, people.Refusal(resp.StatusCode, text)
	}
	return resp, nil
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

const (
	// retryWait is how long the importer waits before it sends again.
	retryWait = 50 * time.Millisecond
	// postMax is how long one Bundle may be under way.
	postMax = 30 * time.Second
	// singlesMax bounds the single resources of one chart and round.
	singlesMax = 60
	// answerMax caps an answer of the gateway, in bytes.
	answerMax = 64 << 20
)

// chart imports a whole Bundle and then its Observations once more, one by
// one, so that many acknowledgements lie close to many kills.
func (m *importer) chart(ctx context.Context, b *fhir.Bundle, p *people.Person, enough <-chan struct{}) error {
	where := make(map[string]string)
	if err := m.bringTo(ctx, b, p, b.Raw(), where); err != nil {
		return err
	}
	singles := 0
	for i := range b.Entries {
		r := b.Entries[i].Resource
		if r.Type != "Observation" {
			continue
		}
		select {
		case <-enough:
			return nil
		default:
		}
		if singles++; singles > singlesMax {
			return nil
		}
		text, err := fhir.RewriteReferences(r.Raw(), m.mapping(where))
		if err != nil {
			return err
		}
		body := single(text, fmt.Sprintf("urn:uuid:%08x-0000-4000-8000-%012x", m.rounds, i))
		one, err := fhir.ParseBundle(body)
		if err != nil {
			return err
		}
		if err := m.bring(ctx, one, p, body); err != nil {
			return err
		}
	}
	return nil
}

// single is a transaction that creates one resource.
func single(resource []byte, fullURL string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":%q,"resource":%s,"request":{"method":"POST","url":"Observation"}}]}`, fullURL, resource)
}

func (m *importer) bring(ctx context.Context, b *fhir.Bundle, p *people.Person, text []byte) error {
	return m.bringTo(ctx, b, p, text, make(map[string]string))
}

// bringTo sends a Bundle until it is acknowledged; where becomes the places of
// its entries by fullUrl. Sent again it adds nothing, for ids follow the source.
func (m *importer) bringTo(ctx context.Context, b *fhir.Bundle, p *people.Person, text []byte, where map[string]string) error {
	var s *people.Session
	for try := 0; ; try++ {
		if try > 0 {
			m.mu.Lock()
			m.retries++
			m.mu.Unlock()
			if err := pause(ctx, retryWait); err != nil {
				return err
			}
		}
		var err error
		if s, err = m.signedIn(ctx, s); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue // gateway or keepers are down
		}
		status, answer := m.post(ctx, s, p, text)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case status == http.StatusOK:
			done, err := m.note(b, answer, where)
			if err != nil || done {
				return err
			}
			s = nil
		case status == 0 || status >= 500 || status == http.StatusUnauthorized || status == http.StatusTooManyRequests:
			if status != http.StatusUnauthorized && status != 0 {
				s = nil // the session is good; only sign in anew where it is not
			}
		default:
			return fmt.Errorf("send Bundle: %w", people.Refusal(status, answer))
		}
	}
}

// post sends once; status 0 is no answer.
func (m *importer) post(ctx context.Context, s *people.Session, p *people.Person, text []byte) (status int, answer []byte) {
	ctx, cancel := context.WithTimeout(ctx, postMax)
	defer cancel()
	r, err := s.Request(ctx, http.MethodPost, "/", bytes.NewReader(text))
	if err != nil {
		return 0, nil
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Abaton-Import", "true")
	if p != nil {
		r.Header.Set("Abaton-Patient", p.ID.String())
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, answerMax)); err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

// note takes an answer: what it acknowledges is owed from now on. done says
// that all of it is durable.
func (m *importer) note(b *fhir.Bundle, answer []byte, where map[string]string) (done bool, err error) {
	var out struct {
		Entry []struct {
			Response struct{ Status, Location string }
		}
	}
	if err := json.Unmarshal(answer, &out); err != nil || len(out.Entry) != len(b.Entries) {
		return false, fmt.Errorf("the answer has %d entries, want %d", len(out.Entry), len(b.Entries))
	}
	for i := range b.Entries {
		parts := strings.Split(out.Entry[i].Response.Location, "/")
		if len(parts) < 2 || parts[0] != b.Entries[i].Resource.Type {
			return false, fmt.Errorf("entry %d has status %s and no place", i, out.Entry[i].Response.Status)
		}
		where[b.Entries[i].FullURL] = parts[0] + "/" + parts[1]
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	done = true
	for i := range b.Entries {
		r := b.Entries[i].Resource
		for id := range r.Get("identifier").Each() {
			if fhir.Directory(r.Type) {
				m.identified[r.Type+"?identifier="+id.Get("system").Text()+"|"+id.Get("value").Text()] = where[b.Entries[i].FullURL]
			}
		}
	}
	for i := range b.Entries {
		text, err := fhir.RewriteReferences(b.Entries[i].Resource.Raw(), m.mappingLocked(where))
		if err != nil {
			return false, err
		}
		a := ack{at: where[b.Entries[i].FullURL], wanted: text}
		switch status, _, _ := strings.Cut(out.Entry[i].Response.Status, " "); status {
		case "200", "201":
			m.acks = append(m.acks, a)
		case "202":
			m.accepted = append(m.accepted, a)
			done = false
		default:
			return false, fmt.Errorf("entry %d has status %s", i, status)
		}
	}
	return done, nil
}

// mapping is what references of a Bundle must have become.
func (m *importer) mapping(where map[string]string) func(string) (string, bool) {
	return func(ref string) (string, bool) {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.mappingLocked(where)(ref)
	}
}

func (m *importer) mappingLocked(where map[string]string) func(string) (string, bool) {
	return func(ref string) (string, bool) {
		if to, ok := where[ref]; ok {
			return to, true
		}
		to, ok := m.identified[ref]
		return to, ok
	}
}

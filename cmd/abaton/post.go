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

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/people"
)

// How often a Bundle is sent when the gateway is away or busy, and the first
// of the growing waits between.
const (
	postTries = 6
	postWait  = 250 * time.Millisecond
)

// responseMax caps the gateway's answer to one Bundle, in bytes.
const responseMax = 64 << 20

// responseEntry is what the gateway says about one entry.
type responseEntry struct {
	Response struct {
		Status  string
		Outcome struct {
			Issue []struct{ Severity, Diagnostics string }
		}
	}
}

// send brings one unit to the gateway and notes what came of it. An error
// ends the import.
func (m *importer) send(ctx context.Context, u *unit) error {
	wait := postWait
	for try := 1; ; try++ {
		status, body, err := m.post(ctx, u)
		switch {
		case err == nil && status < 300:
			return m.took(u, body)
		case err == nil && status == http.StatusPreconditionFailed && !u.again:
			m.mu.Lock()
			m.later = append(m.later, u)
			m.mu.Unlock()
			return nil
		case err == nil && status < 500 && status != http.StatusUnauthorized && status != http.StatusTooManyRequests:
			m.refuse(u.from, people.Refusal(status, body).Error()+placeIn(body))
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case try == postTries && err != nil:
			return fmt.Errorf("import %s: %w", u.from, err)
		case try == postTries:
			return fmt.Errorf("import %s: %w", u.from, people.Refusal(status, body))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		wait *= 2
	}
}

// placeIn is where in a Bundle the refusal lies.
func placeIn(body []byte) string {
	var outcome struct {
		Issue []struct{ Expression []string }
	}
	if json.Unmarshal(body, &outcome) == nil && len(outcome.Issue) > 0 && len(outcome.Issue[0].Expression) > 0 {
		return " (" + outcome.Issue[0].Expression[0] + ")"
	}
	return ""
}

func (m *importer) post(ctx context.Context, u *unit) (status int, body []byte, err error) {
	s, err := m.signedIn(ctx)
	if err != nil {
		return 0, nil, err
	}
	r, err := s.Request(ctx, http.MethodPost, "/", bytes.NewReader(u.body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/fhir+json")
	r.Header.Set("Abaton-Import", "true")
	r.Header.Set("Prefer", "return=minimal")
	if u.patient != nil {
		r.Header.Set("Abaton-Patient", u.patient.ID.String())
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, fmt.Errorf("ask gateway: %w", err)
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(io.LimitReader(resp.Body, responseMax)); err != nil {
		return 0, nil, fmt.Errorf("ask gateway: %w", err)
	}
	return resp.StatusCode, body, nil
}

// took notes a Bundle's answer, entry by entry.
func (m *importer) took(u *unit, body []byte) error {
	var response struct{ Entry []responseEntry }
	if err := json.Unmarshal(body, &response); err != nil || len(response.Entry) != u.entries {
		return fmt.Errorf("import %s: the gateway's answer does not fit the Bundle", u.from)
	}
	held, pending, refused := 0, 0, 0
	for i := range response.Entry {
		e := &response.Entry[i].Response
		status, _, _ := strings.Cut(e.Status, " ")
		switch {
		case status == "202":
			pending++
		case strings.HasPrefix(status, "2"), status == "412" && u.labels != nil: // it is there: each is created once
			held++
		default:
			refused++
			reason := e.Status
			if len(e.Outcome.Issue) > 0 {
				reason = status + ": " + e.Outcome.Issue[0].Diagnostics
			}
			m.refuse(u.label(i), reason)
		}
	}
	m.mu.Lock()
	m.out.Resources += held
	m.out.Pending += pending
	m.mu.Unlock()
	m.bar.add(held + pending)
	if pending > 0 || refused > 0 {
		return nil // sent again next time, which adds nothing
	}
	return m.journal.note(u.hash, held)
}

// label names an entry for people.
func (u *unit) label(i int) string {
	if i < len(u.labels) {
		return u.labels[i]
	}
	return fmt.Sprintf("%s entry[%d]", u.from, i)
}

func idsOf(all []*people.Person) []abaton.ActorID {
	ids := make([]abaton.ActorID, len(all))
	for i, p := range all {
		ids[i] = p.ID
	}
	return ids
}

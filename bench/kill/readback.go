package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

// settleMax is how long what was only accepted may take to be there once all
// keepers are up again.
const settleMax = time.Minute

// readBack reads every acknowledged resource from a gateway whose memory is
// empty, and compares its bytes.
func (m *importer) readBack(ctx context.Context, r *result) error {
	s, err := m.fresh(ctx)
	if err != nil {
		return err
	}
	wanted := make(map[string][]byte)
	for _, a := range m.acks {
		if held, twice := wanted[a.at]; twice && !bytes.Equal(held, a.wanted) {
			return fmt.Errorf("one id was acknowledged for two contents")
		}
		wanted[a.at] = a.wanted
	}
	r.Acknowledged = len(wanted)
	// Ids begin with their patient's tag: one chart after the other, or the
	// gateway would open each many times.
	places := slices.SortedFunc(maps.Keys(wanted), func(a, b string) int { return strings.Compare(idIn(a), idIn(b)) })
	for _, at := range places {
		switch same, there, err := compare(ctx, s, at, wanted[at]); {
		case err != nil:
			return err
		case !there:
			r.Lost++
		case !same:
			r.Changed++
		}
	}
	return m.readAccepted(ctx, s, wanted, r)
}

func idIn(at string) string {
	_, id, _ := strings.Cut(at, "/")
	return id
}

// readAccepted reads what was accepted and never acknowledged afterwards.
func (m *importer) readAccepted(ctx context.Context, s *people.Session, acknowledged map[string][]byte, r *result) error {
	late := make(map[string][]byte)
	for _, a := range m.accepted {
		r.Accepted++
		if acknowledged[a.at] == nil {
			late[a.at] = a.wanted
		}
	}
	for began := time.Now(); len(late) > 0 && time.Since(began) < settleMax; {
		for at, text := range late {
			same, there, err := compare(ctx, s, at, text)
			if err != nil {
				return err
			}
			if there && same {
				delete(late, at)
			}
		}
		if len(late) > 0 {
			if err := pause(ctx, time.Second); err != nil {
				return err
			}
		}
	}
	r.Late = len(late)
	return nil
}

// fresh signs in anew.
func (m *importer) fresh(ctx context.Context) (*people.Session, error) {
	m.mu.Lock()
	m.session = nil
	m.mu.Unlock()
	for {
		s, err := m.signedIn(ctx, nil)
		if err == nil {
			return s, nil
		}
		if err := pause(ctx, retryWait); err != nil {
			return nil, errors.Join(err, ctx.Err())
		}
	}
}

// compare reads one resource. It is the same if what was sent, with the id and
// version that came, gives the very bytes that came.
func compare(ctx context.Context, s *people.Session, at string, wanted []byte) (same, there bool, err error) {
	req, err := s.Request(ctx, http.MethodGet, "/"+at, nil)
	if err != nil {
		return false, false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, false, fmt.Errorf("read back: %w", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, answerMax))
	if err != nil {
		return false, false, fmt.Errorf("read back: %w", err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return false, false, nil
	}
	if resp.StatusCode != http.StatusOK {
		return false, false, fmt.Errorf("read back: %w", people.Refusal(resp.StatusCode, got))
	}
	r, err := fhir.ParseResource(got)
	if err != nil {
		return false, true, nil
	}
	updated, err := time.Parse(time.RFC3339, r.Get("meta").Get("lastUpdated").Text())
	if err != nil {
		return false, true, nil
	}
	want, err := fhir.Splice(wanted, r.ID(), r.Get("meta").Get("versionId").Text(), updated)
	if err != nil {
		return false, true, err
	}
	return bytes.Equal(bytes.TrimSpace(want), bytes.TrimSpace(got)), true, nil
}

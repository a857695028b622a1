package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"
)

// tailInterval is how often ledgers are looked at.
const tailInterval = time.Second

// tailLine is one line of the tail: a ledger as it is now.
type tailLine struct {
	Time     string   `json:"time"`
	Keeper   string   `json:"keeper"`
	Size     uint64   `json:"size"`
	New      uint64   `json:"new"`
	Root     string   `json:"root,omitempty"`
	Cosigned []string `json:"cosigned_by"`
	Problem  string   `json:"problem,omitempty"`
}

// tailLedgers prints each ledger once, and then, if it follows, each change.
// What entries say is nobody's to see from outside: only their number and the
// hash over them.
func (e *env) tailLedgers(ctx context.Context, f *ledgerFlags, follow, asJSON bool) error {
	all, _, hangUp, err := e.sources(f)
	if err != nil {
		return err
	}
	defer hangUp()
	last := make(map[string]tailLine)
	ticker := time.NewTicker(tailInterval)
	defer ticker.Stop()
	for {
		bad := 0
		for i := range all {
			line := all[i].tail(ctx)
			if line.Problem != "" {
				bad++
			}
			if err := e.tailed(last, line, asJSON); err != nil {
				return err
			}
		}
		if !follow {
			if bad == len(all) {
				return errFailed
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // interrupted, as meant
		case <-ticker.C:
		}
	}
}

func (s *ledgerSource) tail(ctx context.Context) tailLine {
	line := tailLine{Time: time.Now().UTC().Format(time.RFC3339), Keeper: s.name, Cosigned: []string{}}
	signed, c, err := s.checkpoint(ctx)
	if err == nil {
		line.Size, line.Root = c.Size, base64.StdEncoding.EncodeToString(c.Root[:])
		line.Cosigned, _, err = s.cosigners(signed)
	}
	if err != nil {
		line.Problem = err.Error()
	}
	return line
}

// tailed prints a line that says something new.
func (e *env) tailed(last map[string]tailLine, line tailLine, asJSON bool) error {
	before, known := last[line.Keeper]
	if known && before.Root == line.Root && before.Problem == line.Problem && len(before.Cosigned) == len(line.Cosigned) {
		return nil
	}
	if known && line.Size >= before.Size {
		line.New = line.Size - before.Size
	}
	if line.Problem == "" || !known {
		last[line.Keeper] = line
	} else {
		before.Problem = line.Problem
		last[line.Keeper] = before
	}
	if asJSON {
		b, err := json.Marshal(line)
		if err != nil {
			return err
		}
		e.print("%s\n", b)
		return nil
	}
	if line.Problem != "" {
		e.print("%s  %s  no answer that verifies: %s\n", line.Time, line.Keeper, line.Problem)
		return nil
	}
	e.print("%s  %s  %8d entries (+%d)  root %s  cosigned by %d others\n", line.Time, line.Keeper, line.Size, line.New, line.Root[:12], len(line.Cosigned))
	return nil
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
)

// script is an attack as its file says (attacks/README.md).
type script struct {
	name, says string
	thief      string // one of thieves
	count      int    // people that act together
	role       string // of those people, "any" or one of the roles
	unit       string // where they work, "any" or one of places
	shift      string // at the start: "on", "off" or "any"
	keepers    string // how the client chooses whom it asks
	phases     []phase
}

// phase is one stretch of an attack.
type phase struct {
	wait    time.Duration // before it
	reads   int           // at most, by all together
	every   time.Duration // between two, by all together
	jitter  int           // percent of every, either way
	victims string
	hours   string // "always", or "shift": only while the person is at work
	under   []bound
	urgent  bool
	cover   bool // does no harm yet: related work that makes the rest look usual
	stops   int  // gives up after so many refusals in a row; 0: never
}

// bound is what a thief who knows the thresholds stays under: so many patients
// without a relation, for each person, in that time.
type bound struct {
	most int
	in   time.Duration
}

// Limits of a script.
const (
	scriptBytesMax = 8 << 10
	phasesMax      = 8
	boundsMax      = 4
	countMax       = 50
	readsMax       = 20_000
	durationMax    = 21 * 24 * time.Hour
)

// The words that values may be.
func thieves() []string { return []string{"session", "laptop", "passkey", "insider"} }

func places() []string {
	return []string{"any", "ward", "urgent", "clinic", "pharmacy", "imaging", "therapy", "archive"}
}

func victims() []string {
	return []string{"strangers", "sequential", "ward", "related", "vip", "kin", "colleagues", "own", "same", "nobody"}
}

func choosers() []string { return []string{"rotate", "fixed", "evade"} }

func roles() []string {
	return []string{"any", abaton.RoleNurse, abaton.RolePhysician, abaton.RolePharmacist, abaton.RoleAssistant, abaton.RoleTherapist, abaton.RoleRecords}
}

// parseScript reads a script strictly: one word and its value a line, each at
// most once in its part, nothing it does not know.
func parseScript(text string) (*script, error) {
	if len(text) > scriptBytesMax {
		return nil, errors.New("attack script: too large")
	}
	first, rest, _ := strings.Cut(text, "\n")
	if first != "abaton-attack 1" {
		return nil, errors.New(`attack script: the first line is not "abaton-attack 1"`)
	}
	s := &script{count: 1, role: "any", unit: "any", shift: "on", keepers: "rotate"}
	seen := make(map[string]bool)
	for i, line := range strings.Split(rest, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		word, value, _ := strings.Cut(line, " ")
		if err := s.line(word, strings.TrimSpace(value), seen); err != nil {
			return nil, fmt.Errorf("attack script, line %d: %s: %w", i+2, word, err)
		}
	}
	return s, s.whole()
}

func (s *script) line(word, value string, seen map[string]bool) error {
	if word == "phase" {
		if value != "" || len(s.phases) == phasesMax {
			return errors.New("takes no value, and there are at most 8")
		}
		s.phases = append(s.phases, phase{hours: "always", stops: 20})
		clear(seen)
		return nil
	}
	if seen[word] {
		return errors.New("said twice")
	}
	seen[word] = true
	if len(s.phases) > 0 {
		return s.phases[len(s.phases)-1].line(word, value)
	}
	return s.head(word, value)
}

func (s *script) head(word, value string) (err error) {
	switch word {
	case "name":
		if s.name = value; value == "" || strings.Trim(value, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			err = errors.New("is small letters, digits and hyphens")
		}
	case "says":
		s.says = value
	case "thief":
		s.thief, err = oneOf(value, thieves())
	case "count":
		s.count, err = number(value, 1, countMax)
	case "role":
		s.role, err = oneOf(value, roles())
	case "unit":
		s.unit, err = oneOf(value, places())
	case "shift":
		s.shift, err = oneOf(value, []string{"on", "off", "any"})
	case "keepers":
		s.keepers, err = oneOf(value, choosers())
	default:
		err = errors.New("is no word of a script")
	}
	return err
}

func (p *phase) line(word, value string) (err error) {
	switch word {
	case "wait":
		p.wait, err = span(value)
	case "reads":
		p.reads, err = number(value, 1, readsMax)
	case "every":
		p.every, err = span(value)
	case "jitter":
		p.jitter, err = number(value, 0, 90)
	case "victims":
		p.victims, err = oneOf(value, victims())
	case "hours":
		p.hours, err = oneOf(value, []string{"always", "shift"})
	case "stops":
		p.stops, err = number(value, 0, readsMax)
	case "emergency":
		if p.urgent = true; value != "" {
			err = errors.New("takes no value")
		}
	case "cover":
		if p.cover = true; value != "" {
			err = errors.New("takes no value")
		}
	case "under":
		p.under, err = bounds(value)
	default:
		err = errors.New("is no word of a phase")
	}
	return err
}

// whole says what a script lacks.
func (s *script) whole() error {
	switch {
	case s.name == "":
		return errors.New("attack script: no name")
	case s.thief == "":
		return fmt.Errorf("attack script %s: no thief", s.name)
	case len(s.phases) == 0:
		return fmt.Errorf("attack script %s: no phase", s.name)
	}
	for i, p := range s.phases {
		if p.reads == 0 || p.every == 0 || p.victims == "" {
			return fmt.Errorf("attack script %s: phase %d lacks reads, every or victims", s.name, i+1)
		}
	}
	return nil
}

// String is the script as its file says it, without comments and defaults
// spelt out.
func (s *script) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "abaton-attack 1\nname %s\n", s.name)
	if s.says != "" {
		fmt.Fprintf(&b, "says %s\n", s.says)
	}
	fmt.Fprintf(&b, "thief %s\ncount %d\nrole %s\nunit %s\nshift %s\nkeepers %s\n", s.thief, s.count, s.role, s.unit, s.shift, s.keepers)
	for _, p := range s.phases {
		fmt.Fprintf(&b, "phase\n")
		if p.wait > 0 {
			fmt.Fprintf(&b, "  wait %s\n", p.wait)
		}
		fmt.Fprintf(&b, "  reads %d\n  every %s\n  jitter %d\n  victims %s\n  hours %s\n  stops %d\n", p.reads, p.every, p.jitter, p.victims, p.hours, p.stops)
		if p.urgent {
			fmt.Fprintf(&b, "  emergency\n")
		}
		if p.cover {
			fmt.Fprintf(&b, "  cover\n")
		}
		var under []string
		for _, u := range p.under {
			under = append(under, fmt.Sprintf("%d/%s", u.most, u.in))
		}
		if len(under) > 0 {
			fmt.Fprintf(&b, "  under %s\n", strings.Join(under, " "))
		}
	}
	return b.String()
}

func oneOf(value string, all []string) (string, error) {
	if !slices.Contains(all, value) {
		return "", fmt.Errorf("is not one of %s", strings.Join(all, ", "))
	}
	return value, nil
}

func number(value string, low, high int) (int, error) {
	n, err := strconv.Atoi(value)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("is no number from %d to %d", low, high)
	}
	return n, nil
}

// span is a duration in whole milliseconds.
func span(value string) (time.Duration, error) {
	t, err := time.ParseDuration(value)
	if err != nil || t < time.Millisecond || t > durationMax || t%time.Millisecond != 0 {
		return 0, errors.New("is no duration from 1ms to 504h")
	}
	return t, nil
}

func bounds(value string) (all []bound, err error) {
	for each := range strings.FieldsSeq(value) {
		most, in, found := strings.Cut(each, "/")
		var b bound
		if b.most, err = number(most, 0, readsMax); err == nil {
			b.in, err = span(in)
		}
		if err != nil || !found || len(all) == boundsMax {
			return nil, errors.New("is up to four bounds like 4/1h")
		}
		all = append(all, b)
	}
	if len(all) == 0 {
		return nil, errors.New("is up to four bounds like 4/1h")
	}
	return all, nil
}

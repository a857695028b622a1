package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/disclosure"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/view"
	"github.com/abaton-health/abaton/ledger"
)

// shownAccess is a history and what the patient's device knows besides.
type shownAccess struct {
	disclosure.View
	known map[abaton.ActorID]string
	parts map[abaton.Line]fhir.Category
	kinds map[abaton.ActorID]actor.Kind
}

// accessFormats are the forms of access list, by name.
func accessFormats() map[string]func(*env, *shownAccess) error {
	return map[string]func(*env, *shownAccess) error{
		"text":    (*env).accessTable,
		"json":    func(e *env, s *shownAccess) error { return e.json(accessJSON(s)) },
		"balp":    func(e *env, s *shownAccess) error { return e.raw(s.auditEvents()) },
		"nen7513": func(e *env, s *shownAccess) error { return e.raw(disclosure.NEN7513(s.View)) },
		"ocsf":    func(e *env, s *shownAccess) error { return e.raw(disclosure.OCSF(s.View)) },
	}
}

func (e *env) raw(b []byte) error {
	if !strings.HasSuffix(string(b), "\n") && len(b) > 0 {
		b = append(b, '\n')
	}
	_, err := e.stdout.Write(b)
	return err
}

// shownAs is what this device knows of those who looked: what kind of actor each
// is, by the key logs; the handles kept on this network; and, for the own record,
// which line is which part of it. No record is opened for that.
func (e *env) shownAs(ctx context.Context, d *device, of abaton.ActorID, h *ledger.History) (*shownAccess, error) {
	s := &shownAccess{View: disclosure.View{History: h, Patient: of, KeeperSet: d.net.Set().ID()},
		parts: make(map[abaton.Line]fhir.Category), kinds: make(map[abaton.ActorID]actor.Kind)}
	var err error
	if s.known, err = names(d.at); err != nil {
		return nil, err
	}
	s.known[d.ID] = d.Handle // also one of --keys
	var who []abaton.ActorID
	for i := range h.Lines {
		if a := h.Lines[i].Actor; !slices.Contains(who, a) {
			who = append(who, a)
		}
	}
	logs, err := d.net.Logs(ctx, who...)
	if err != nil {
		return nil, err
	}
	for id, log := range logs {
		s.kinds[id] = log.Kind()
	}
	if of == d.ID && d.Kind == actor.Patient {
		own, err := d.Own(ctx, d.net)
		if err != nil {
			return nil, err
		}
		for _, seed := range own.Seeds {
			if c, ok := fhir.CategoryByID(seed.Category); ok {
				s.parts[seed.Line] = c
			}
		}
	}
	s.Who = func(id abaton.ActorID) disclosure.Party {
		return disclosure.Party{Kind: partyKind(s.kinds[id]), Name: s.known[id]}
	}
	s.Part = func(l abaton.Line) string {
		if c, ok := s.parts[l]; ok {
			return c.String()
		}
		return ""
	}
	return s, nil
}

func partyKind(k actor.Kind) disclosure.Kind {
	switch k {
	case actor.Clinician:
		return disclosure.Person
	case actor.Patient:
		return disclosure.Patient
	case actor.Agent, actor.Device:
		return disclosure.Program
	case actor.Organisation:
		return disclosure.Organisation
	}
	return disclosure.Unknown
}

// auditEvents is the history as FHIR AuditEvents.
func (s *shownAccess) auditEvents() []byte {
	places := s.Places()
	return view.AuditEvents(s.History, view.Disclosed{Tag: "own", ID: s.Patient, KeeperSet: s.KeeperSet,
		Kind: func(id abaton.ActorID) string {
			switch partyKind(s.kinds[id]) {
			case disclosure.Patient:
				return "Patient"
			case disclosure.Program:
				return "Device"
			case disclosure.Organisation:
				return "Organization"
			}
			return ""
		},
		Called: func(id abaton.ActorID) string { return s.known[id] },
		Part: func(b abaton.BatchName) (fhir.Category, bool) {
			c, ok := s.parts[places[b]]
			return c, ok
		}})
}

// accessTable is the history for people: what people opened first, then what
// systems processed; similar rows of one day are one.
func (e *env) accessTable(s *shownAccess) error {
	list := disclosure.Lists(s.View, time.Local)
	fmt.Fprintln(e.stdout, "A person opened or asked:")
	if err := said(e.stdout, list.Opened, s.known); err != nil {
		return err
	}
	if len(list.Processed) > 0 {
		fmt.Fprintln(e.stdout, "\nA system processed:")
		if err := said(e.stdout, list.Processed, s.known); err != nil {
			return err
		}
	}
	h := s.History
	e.say("This list is %s. %d ledgers answered.", h.String(), h.Answered)
	for _, f := range h.Faults {
		e.say("%v", f)
	}
	for _, g := range h.Gaps {
		until := "."
		if g.To != 0 {
			until = " to " + time.Unix(g.To, 0).Format(time.DateTime) + "."
		}
		e.say("Missing: %s, %s%s", g, time.Unix(g.From, 0).Format(time.DateTime), until)
	}
	return nil
}

func said(w io.Writer, rows []disclosure.Said, known map[abaton.ActorID]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tWHO\tDID\tRECORDS\tREFUSED\tWHY\tPART\tBECAUSE\tTIMES\tLEDGERS")
	for i := range rows {
		r := &rows[i]
		l := r.Line
		did := l.Op.String()
		if r.Renewals > 0 {
			did += fmt.Sprintf(" (kept open %d times)", r.Renewals)
		}
		if r.Disputed {
			did += " (ledgers differ)"
		}
		who := nameOf(known, l.Actor)
		if l.Behalf != (abaton.ActorID{}) {
			who += " for " + nameOf(known, l.Behalf)
		}
		if !l.Onward.IsZero() {
			who += " through " + nameOf(known, l.Onward.From)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\t%d\t%d\n", time.Unix(r.First, 0).Format(time.DateTime), who, did,
			r.Released, r.Refused, orDash(string(l.Purpose)), orDash(fewParts(r.Parts)), orDash(because(r.Reasons)), r.Times, r.Keepers)
	}
	return t.Flush()
}

// fewParts are the parts of a row in the width of a table; JSON has all.
func fewParts(parts []string) string {
	const shown = 2
	if len(parts) <= shown+1 {
		return strings.Join(parts, ",")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(parts[:shown], ","), len(parts)-shown)
}

// because is why anything of a row was refused. "none" is what keepers say of
// what is not there and of what is not the reader's, alike.
func because(reasons []abaton.Reason) string {
	var words []string
	for _, r := range reasons {
		if r == abaton.ReasonNotFound {
			words = append(words, "not granted or not there")
			continue
		}
		words = append(words, string(r))
	}
	return strings.Join(words, ", ")
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// keeperNumbers are keepers as JSON writes numbers: a list of bytes would be
// base64.
func keeperNumbers(xs []abaton.KeeperIndex) []int {
	out := make([]int, len(xs))
	for i, x := range xs {
		out[i] = int(x)
	}
	return out
}

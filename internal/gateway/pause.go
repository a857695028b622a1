package gateway

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/fhir/search"
)

// pause is one patient at whom keepers hold a clinician's session back, and what
// the way on takes (docs/protocol/gateway.md#gateway-held). It is in memory only.
// Whoever has its name may bring a touch or begin to ask, and reads nothing.
type pause struct {
	name    string  // 16 random bytes, hex
	of      *person // whose session it is
	patient abaton.ActorID
	label   string // what this organisation calls the patient; empty for its own directory
	who     string // the clinician in the directory's words, as far as they were open
	why     abaton.Reason
	grant   abaton.GrantID // under which a second clinician's word lets read
	lines   []abaton.Line  // what a touch is asked for
	purpose abaton.Purpose
	until   time.Time

	asked  string    // 16 random bytes, hex: how a colleague's page names it; empty: nobody is asked
	code   string    // six digits that both see
	agreed time.Time // when a second clinician agreed last; zero: nobody did
	vain   bool      // keepers refused although one had
}

// pauses are those of all sessions, by name.
type pauses struct {
	mu sync.Mutex
	by map[string]*pause
}

func pauseName() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// note remembers a pause, or what is new of the one that this person has at this
// patient, and returns its name.
func (s *pauses) note(p *pause, now time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.until = now.Add(pauseLife)
	for _, had := range s.by {
		if had.of == p.of && had.patient == p.patient && now.Before(had.until) {
			p.name, p.asked, p.code, p.agreed = had.name, had.asked, had.code, had.agreed
			p.vain = had.agreed != time.Time{} && p.vain
			s.by[p.name] = p
			return p.name
		}
	}
	s.room(p.of)
	p.name = pauseName()
	s.by[p.name] = p
	return p.name
}

// room drops the oldest where a person, or all together, have too many.
func (s *pauses) room(of *person) {
	var all, own []*pause
	for _, p := range s.by {
		if all = append(all, p); p.of.actor == of.actor {
			own = append(own, p)
		}
	}
	for _, list := range []struct {
		of  []*pause
		max int
	}{{own, pausesOfOneMax}, {all, pausesMax}} {
		if len(list.of) < list.max {
			continue
		}
		delete(s.by, slices.MinFunc(list.of, func(a, b *pause) int { return a.until.Compare(b.until) }).name)
	}
}

// get is a copy of one that serves still, nil for none.
func (s *pauses) get(name string, now time.Time) *pause {
	return s.find(now, func(p *pause) bool { return p.name == name })
}

func (s *pauses) find(now time.Time, is func(*pause) bool) *pause {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.by {
		if is(p) && now.Before(p.until) && p.of.live(now) {
			found := *p
			return &found
		}
	}
	return nil
}

// asking are those for which a second clinician is asked, the oldest first.
func (s *pauses) asking(now time.Time) (all []pause) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.by {
		if p.asked != "" && now.Before(p.until) && p.of.live(now) {
			all = append(all, *p)
		}
	}
	slices.SortFunc(all, func(a, b pause) int { return a.until.Compare(b.until) })
	return all
}

// ask begins to ask for a second clinician, anew where one has agreed: each time
// has a code of its own.
func (s *pauses) ask(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.by[name]; p != nil && p.asked == "" {
		p.asked, p.code, p.until = pauseName(), sixDigits(), now.Add(pauseLife)
		p.agreed, p.vain = time.Time{}, false
	}
}

// agreed notes that a second clinician did; what was asked is answered.
func (s *pauses) agreed(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.by[name]; p != nil {
		p.asked, p.code, p.agreed, p.vain, p.until = "", "", now, false, now.Add(pauseLife)
	}
}

func (s *pauses) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, p := range s.by {
		if !now.Before(p.until) || !p.of.live(now) {
			delete(s.by, name)
		}
	}
}

// sixDigits are what two people read to each other; they open nothing.
func sixDigits() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic("gateway: crypto/rand gives no number: " + err.Error())
	}
	return fmt.Sprintf("%06d", n)
}

// heldError is a keeper's word that it holds the session back at one patient.
type heldError struct {
	patient abaton.ActorID
	purpose abaton.Purpose
	why     abaton.Reason
	err     error
}

func (e *heldError) Error() string { return e.err.Error() }
func (e *heldError) Unwrap() error { return e.err }

// heldBack marks a refusal that a touch or a second clinician may lift. A search
// over many has none: the way on is one patient's.
func (c *chart) heldBack(err error) error {
	r, ok := errors.AsType[*abaton.RefusedError](err)
	if c.part != nil || !ok || r.Reason != abaton.ReasonSuspended && r.Reason != abaton.ReasonStepUp {
		return err
	}
	return &heldError{patient: c.patient, purpose: c.purpose, why: r.Reason, err: err}
}

// pointed tells a clinician who is held back where the way on is: a page that is
// named by chance and by nothing of the patient.
func (g *Gateway) pointed(ctx context.Context, c *call, err error) error {
	held, ok := errors.AsType[*heldError](err)
	if !ok || c.person == nil {
		return err
	}
	made, failed := g.pauseOf(ctx, c, held)
	if failed != nil || made == nil {
		return err
	}
	name := g.pauses.note(made, g.now())
	where := g.url
	if where == "" {
		where = c.base
	}
	return heldOutcome(made, where+"/held#"+name)
}

// pauseOf makes the pause of a refusal; nil where nobody can help.
func (g *Gateway) pauseOf(ctx context.Context, c *call, held *heldError) (*pause, error) {
	p := c.person.session()
	log, err := g.network.Log(ctx, p.actor)
	if err != nil || log.Kind() != actor.Clinician {
		return nil, err
	}
	lent, err := c.person.asks(ctx, g.network, held.patient, held.purpose, g.now())
	if err != nil {
		return nil, err
	}
	widest := slices.MaxFunc(lent.asks, func(a, b client.Ask) int { return len(a.Lines) - len(b.Lines) })
	made := &pause{of: p, patient: held.patient, label: g.labelOf(c, held.patient), who: g.wordsFor(ctx, c.person), why: held.why,
		grant: widest.Grant, purpose: widest.Purpose, vain: widest.Approval != nil}
	for _, ask := range lent.asks {
		for _, line := range ask.Lines {
			if ask.Purpose == widest.Purpose && !lent.shielded[line] && !slices.Contains(made.lines, line) && len(made.lines) < abaton.LinesMax {
				made.lines = append(made.lines, line)
			}
		}
	}
	return made, nil
}

// labelOf is what this organisation calls a patient: the Patient's id where the
// request names it, else how every id in that chart begins.
func (g *Gateway) labelOf(c *call, patient abaton.ActorID) string {
	if patient == g.org {
		return ""
	}
	id, tag := "", g.ids.tag(patient)
	if strings.HasPrefix(c.path, "/Patient/") {
		id = c.id
	} else if query, err := url.ParseQuery(c.query); err == nil {
		id = strings.TrimPrefix(query.Get("patient"), "Patient/")
	}
	if of, ok := tagOf(id); ok && of == tag {
		return id
	}
	return tag
}

// wordsFor is the name of a signed-in clinician in the directory, as far as the
// session opens that; empty where it does not.
func (g *Gateway) wordsFor(ctx context.Context, p *person) string {
	if p.limits != nil || !p.holds(g.org) {
		return ""
	}
	directory, err := g.directory(ctx, p, false)
	if err != nil {
		return ""
	}
	q, err := search.Parse("Practitioner", []fhir.Param{{Name: "identifier", Value: actorSystem + "|" + p.actor.String()}}, search.Options{Now: g.now()})
	if err != nil {
		return ""
	}
	found, err := searchSet{directory}.run(q, nil)
	if err != nil || found.Total != 1 {
		return ""
	}
	r, err := fhir.ParseResource(found.Versions[0].Body)
	if err != nil {
		return ""
	}
	return clinicianName(r)
}

// clinicianName is the first name of a Practitioner as people say it.
func clinicianName(r fhir.Resource) string {
	for name := range r.Get("name").Each() {
		text := name.Get("text").Text()
		if text == "" {
			var parts []string
			for given := range name.Get("given").Each() {
				parts = append(parts, given.Text())
			}
			text = strings.TrimSpace(strings.Join(append(parts, name.Get("family").Text()), " "))
		}
		if len(text) > clinicianNameMax {
			return ""
		}
		return text
	}
	return ""
}

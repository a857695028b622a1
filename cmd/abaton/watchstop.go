package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

// stopping are the flags of watch stop.
type stopping struct {
	session, why         string
	life                 time.Duration
	yes, preview, asJSON bool
	silent               bool // what is done is not shown first
}

func newWatchStop(e *env) *cobra.Command {
	var f stopping
	c := &cobra.Command{Use: "stop WHO|DEVICE|keeperN", Short: "Stop somebody, a session or a device; without --yes it only shows what that breaks", Args: cobra.MaximumNArgs(1),
		Long: `Stop somebody who works here, whose session it is, or a device: one signed event, in
force everywhere within a minute. It always shows first what it breaks: sessions,
teams and shifts left without cover, programs nobody answers for, who is left for
emergencies; without --yes it does nothing else. A person is suspended for --for; a
session ends with its person, who is suspended until it would have ended: no event
ends a session alone. A device is reported lost. Of a keeper it shows what its
absence leaves; taking one out is a change of the keeper set, which four operators
sign.

--why is kept at the clinic, in the network's file stops.jsonl, with the name of the
event; the key log has who signed, and when.`,
		Example: "  abaton watch stop dr-anna --why 'asked by the ward'\n  abaton watch stop dr-anna --why 'asked by the ward' --yes",
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			if len(args) == 1 && f.session == "" {
				if x, ok := keeperNamed(args[0]); ok {
					return e.showKeeperStop(c.Context(), m, x, f.asJSON)
				}
			}
			return e.watchStop(c.Context(), m, args, &f)
		}}
	c.Flags().StringVar(&f.session, "session", "", "the person whose session this is: ses1..., or the beginning of its name as watch list prints it")
	c.Flags().StringVar(&f.why, "why", "", "why, for the clinic's own notes: no patient's name")
	c.Flags().DurationVar(&f.life, "for", 24*time.Hour, "for how long a person is suspended")
	c.Flags().BoolVar(&f.preview, "preview", false, "only show what it breaks (the default without --yes)")
	c.Flags().BoolVar(&f.yes, "yes", false, "do it")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// target is whom a stop is about, and until when; zero is for ever.
type target struct {
	p     *people.Person
	until time.Time
}

func (e *env) watchStop(ctx context.Context, m *employer, args []string, f *stopping) error {
	t, err := m.target(ctx, args, f)
	if err != nil {
		return err
	}
	if f.yes && f.why == "" {
		return usage("--why says why, for the clinic's own notes")
	}
	s := stopOf(t)
	return e.stop(ctx, m, s, f)
}

// target finds whom the arguments mean.
func (m *employer) target(ctx context.Context, args []string, f *stopping) (*target, error) {
	switch {
	case f.life <= 0:
		return nil, usage("--for is not a time")
	case (len(args) == 1) == (f.session != ""):
		return nil, usage("name one: somebody, a device, or --session")
	case f.session != "":
		return m.ofSession(ctx, f.session)
	}
	p, err := m.named(ctx, args[0])
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case actor.Clinician, actor.Agent:
		return &target{p, time.Now().Add(f.life)}, nil
	case actor.Device:
		p, err = m.deviceNamed(ctx, args[0])
		return &target{p: p}, err
	}
	return nil, usage("%s is nobody who works here, and no device", p.Handle)
}

// ofSession is whoever's session it is, until it would end.
func (m *employer) ofSession(ctx context.Context, name string) (*target, error) {
	answers, err := m.net.Steer(ctx, m.ID, abaton.ActorID{})
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		for _, s := range a.SignedIn {
			if s.Session.String() != name && (len(name) < 8 || !strings.HasPrefix(fmt.Sprintf("%x", s.Session[:]), name)) {
				continue
			}
			p, err := m.named(ctx, s.Actor.String())
			if err != nil {
				return nil, err
			}
			return &target{p, time.Unix(int64(s.Expires), 0)}, nil
		}
	}
	return nil, usage("no keeper has a session of the clinic called %s that has not ended", name)
}

// stop is one act that stops somebody, with what is said of it.
type stop struct {
	target
	does, did, undo string
}

func stopOf(t *target) *stop {
	s := &stop{target: *t}
	switch {
	case t.p.Kind == actor.Device:
		s.does, s.did = t.p.Handle+" is reported lost for ever", "lost"
		s.undo = "none for this device; another one: abaton device enrol --for WHO"
	case t.until.IsZero():
		s.does, s.did, s.undo = t.p.Handle+" leaves for ever", "has left", "none"
	default:
		until := clockTime(uint64(t.until.Unix()))
		s.does, s.did = t.p.Handle+" is suspended until "+until, "suspended until "+until
		s.undo = "abaton watch lift " + t.p.Handle + " --why mistaken|explained|ended, signed by as many managers as the clinic demands; it ends by itself then"
	}
	return s
}

// stop shows what an act breaks, and does it if it is to be done.
func (e *env) stop(ctx context.Context, m *employer, s *stop, f *stopping) error {
	act := f.yes && !f.preview
	if act && f.silent {
		return e.doStop(ctx, m, s, f)
	}
	c, err := m.cover(ctx, s.p, s.does, s.undo)
	if err != nil {
		return err
	}
	switch {
	case f.asJSON && !act:
		return e.json(c)
	case !f.asJSON:
		e.showCover(c)
	}
	if !act {
		e.say("Nothing was done.")
		return nil
	}
	return e.doStop(ctx, m, s, f)
}

// doStop signs the event and keeps why.
func (e *env) doStop(ctx context.Context, m *employer, s *stop, f *stopping) error {
	by, until := m.Manage, int64(0)
	if s.p.Kind == actor.Device {
		by = m.Alarm
	}
	if !s.until.IsZero() {
		until = s.until.Unix()
	}
	began := time.Now()
	published, err := m.Bar(ctx, m.net, s.p.ID, until, by)
	if err != nil {
		return err
	}
	if f.why != "" {
		if err := noteStop(m.at, published.Event, s.p.ID.String(), f.why, began); err != nil {
			return err
		}
	}
	return e.sayDone(f.asJSON, s.did, s.p.Handle, s.p.ID, published, began)
}

// previewStop shows what it would break if somebody were suspended for so long,
// or, for no time, left.
func (e *env) previewStop(ctx context.Context, who string, life time.Duration, asJSON bool) error {
	m, err := e.employer()
	if err != nil {
		return err
	}
	defer m.hangUp()
	p, err := m.named(ctx, who)
	if err != nil {
		return err
	}
	if p.Kind != actor.Clinician && p.Kind != actor.Agent {
		return usage("%s is nobody who works here; abaton device lost ends a device", p.Handle)
	}
	t := &target{p: p}
	if life > 0 {
		t.until = time.Now().Add(life)
	}
	return e.stop(ctx, m, stopOf(t), &stopping{preview: true, asJSON: asJSON})
}

// keeperNamed reads keeper1 to keeper5.
func keeperNamed(arg string) (abaton.KeeperIndex, bool) {
	n, ok := strings.CutPrefix(arg, "keeper")
	x, err := strconv.Atoi(n)
	return abaton.KeeperIndex(x), ok && err == nil && x >= 1 && x <= local.Keepers
}

// withoutKeeper is watch stop keeperN --json.
type withoutKeeper struct {
	V         int      `json:"v"`
	Keeper    int      `json:"keeper"`
	Answer    []int    `json:"answer"` // keepers that answer now, without this one
	Reads     bool     `json:"reads"`  // three can still be had
	Writes    bool     `json:"writes"` // four
	Tolerates int      `json:"moreMayFail"`
	Says      []string `json:"says"`
	How       string   `json:"how"`
}

// showKeeperStop says what is left without a keeper. Who takes it out are the
// operators: a clinic has no say over other people's machines.
func (e *env) showKeeperStop(ctx context.Context, m *employer, x abaton.KeeperIndex, asJSON bool) error {
	w := withoutKeeper{V: 1, Keeper: int(x), Answer: []int{}, Says: []string{},
		How: "its peers refuse it once it is proved wrong; people take it out by a change of the keeper set that four operators sign: docs/OPERATING.md#keeper-evict"}
	answers, err := m.net.Steer(ctx, m.ID, abaton.ActorID{})
	if err != nil {
		return err
	}
	for _, a := range answers {
		if a.Keeper != x {
			w.Answer = append(w.Answer, int(a.Keeper))
		}
	}
	slices.Sort(w.Answer)
	left := len(w.Answer)
	w.Reads, w.Writes, w.Tolerates = left >= readKeepers, left >= writeKeepers, max(0, left-writeKeepers)
	add := func(format string, args ...any) { w.Says = append(w.Says, fmt.Sprintf(format, args...)) }
	add("without keeper %d, %d of %d keepers answer", x, left, local.Keepers)
	if w.Reads {
		add("reads go on: they need %d, so %d more may fail", readKeepers, left-readKeepers)
	} else {
		add("NOTHING can be read: reads need %d", readKeepers)
	}
	switch {
	case !w.Writes:
		add("NOTHING can be written or granted: that needs %d", writeKeepers)
	case w.Tolerates == 0:
		add("writes and grants need %d: no keeper more may fail", writeKeepers)
	}
	add("what this keeper holds stays with it: its share of every record counts until that record is locked anew")
	if asJSON {
		return e.json(w)
	}
	for _, s := range w.Says {
		e.print("  %s\n", s)
	}
	e.print("How: %s\n", w.How)
	e.say("Nothing was done.")
	return nil
}

// How many keepers of five a read needs, and a write.
const (
	readKeepers  = 3
	writeKeepers = 4
)

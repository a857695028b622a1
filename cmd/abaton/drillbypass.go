package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
)

// bypass is an attack that one check alone refuses: with that check off, a keeper
// hands out its pieces.
type bypass struct {
	check string
	login client.Login
	ask   client.Ask
	rows  []client.Row
	sign  *key.Signing // by whom requests are signed; nil: the session itself
}

// bypassing prepares the attacks, all while the network is whole: each attacker
// may once do what it asks, and then may not any more.
func (g *ground) bypassing(ctx context.Context) (all []bypass, err error) {
	for _, prepare := range []func(context.Context) (bypass, error){g.bySignature, g.byLostDevice, g.byLeaver, g.byRevoked, g.withoutTouch, g.againstPolicy} {
		b, err := prepare(ctx)
		if err != nil {
			return nil, err
		}
		if b.rows, err = g.rows(ctx, b.ask); err != nil {
			return nil, fmt.Errorf("bypass %s: %w", b.check, err)
		}
		all = append(all, b)
	}
	return all, nil
}

// rows are the records of the lines asked for, as the patient's own session
// lists them: who they are of is no secret to the attacker.
func (g *ground) rows(ctx context.Context, ask client.Ask) (rows []client.Row, err error) {
	var list *client.Listing
	err = g.asPatient(ctx, g.patientNamed(ask.Patient), func(own *client.Reader) (err error) {
		list, err = own.List(ctx, client.Ask{Patient: ask.Patient, Purpose: abaton.PatientAccess, Lines: ask.Lines})
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range list.Batches {
		if row := list.Batches[i].Rows(); row.Records != 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) == 0 {
		return nil, errors.New("there is nothing to ask for")
	}
	slices.SortFunc(rows, func(a, b client.Row) int { return slices.Compare(a.Batch[:], b.Batch[:]) })
	return rows, nil
}

// patientNamed is one of the patients; nil for anybody else.
func (g *ground) patientNamed(id abaton.ActorID) *people.Person {
	if i := slices.IndexFunc(g.patients, func(p *people.Person) bool { return p.ID == id }); i >= 0 {
		return g.patients[i]
	}
	return nil
}

// bySignature: somebody knows the name of an open session, and not its key.
func (g *ground) bySignature(ctx context.Context) (b bypass, err error) {
	b = bypass{check: "signature", sign: key.NewSigning()}
	if b.login, err = lent(ctx, g.n, g.staff[besideHandle]); err != nil {
		return b, err
	}
	b.ask, err = g.gives(ctx, g.patients[0], g.staff[besideHandle], fhir.General, abaton.Treatment)
	b.login.Reply = key.NewBox() // which it does not have either
	return b, err
}

// byLostDevice: a session at a laptop that was reported lost.
func (g *ground) byLostDevice(ctx context.Context) (b bypass, err error) {
	b.check = "session"
	p, err := g.hired(ctx, "kai")
	if err != nil {
		return b, err
	}
	if b.ask, err = g.gives(ctx, g.patients[1], p, fhir.General, abaton.Treatment); err != nil {
		return b, err
	}
	if b.login, err = lent(ctx, g.n, p); err != nil {
		return b, err
	}
	_, err = g.org.Bar(ctx, g.org.net, p.Device, 0, g.org.Alarm)
	return b, err
}

// byLeaver: a session of one who has left, with everything it was lent.
func (g *ground) byLeaver(ctx context.Context) (b bypass, err error) {
	b.check = "standing"
	max := g.staff[leaverHandle]
	if b.ask, err = g.askAs(ctx, g.patients[2], max.ID); err != nil {
		return b, err
	}
	if b.login, err = lent(ctx, g.n, max); err != nil {
		return b, err
	}
	_, err = g.org.Bar(ctx, g.org.net, max.ID, 0, g.org.Manage)
	return b, err
}

// byRevoked: a grant taken back, its keys still in hand.
func (g *ground) byRevoked(ctx context.Context) (b bypass, err error) {
	b.check = "grant"
	p := g.patients[3]
	if b.ask, err = g.gives(ctx, p, g.staff[besideHandle], fhir.General, abaton.Treatment); err != nil {
		return b, err
	}
	if b.login, err = lent(ctx, g.n, g.staff[besideHandle]); err != nil {
		return b, err
	}
	_, err = p.Stop(ctx, g.org.net, b.ask.Grant, false)
	return b, err
}

// withoutTouch: the notes that need the passkey, without it.
func (g *ground) withoutTouch(ctx context.Context) (b bypass, err error) {
	b.check = "step-up"
	if b.ask, err = g.gives(ctx, g.patients[4], g.staff[besideHandle], fhir.PsychotherapyNotes, abaton.Treatment); err != nil {
		return b, err
	}
	b.login, err = lent(ctx, g.n, g.staff[besideHandle])
	return b, err
}

// againstPolicy: a clinician for a purpose that is the patient's own.
func (g *ground) againstPolicy(ctx context.Context) (b bypass, err error) {
	b.check = "policy"
	if b.ask, err = g.gives(ctx, g.patients[5], g.staff[besideHandle], fhir.General, abaton.PatientAccess); err != nil {
		return b, err
	}
	b.login, err = lent(ctx, g.n, g.staff[besideHandle])
	return b, err
}

// gives has a patient give somebody one part, and is what may then be asked.
func (g *ground) gives(ctx context.Context, p, to *people.Person, c fhir.Category, purpose abaton.Purpose) (client.Ask, error) {
	id, _, err := p.Give(ctx, g.org.net, people.Terms{To: to, Actions: grant.Read, Categories: []fhir.Category{c}, Purpose: purpose, Life: time.Hour, Quota: people.RecordsMax})
	g.org.net.Refresh(p.ID)
	return client.Ask{Patient: p.ID, Grant: id, Purpose: purpose, Lines: []abaton.Line{p.Line(c.ID())}}, err
}

// hired is a new physician, with a device.
func (g *ground) hired(ctx context.Context, handle string) (*people.Person, error) {
	p, err := g.n.People().NewClinician(handle, handle, g.org.Person, abaton.RolePhysician)
	if err != nil {
		return nil, err
	}
	return p, g.n.People().Enlist(ctx, g.org.net, g.org.Person, nil, p)
}

// keeperWord is how one keeper answered.
type keeperWord struct {
	released bool
	reason   abaton.Reason
}

// everyKeeper asks all keepers the same question at once, each by itself, and
// counts those that hand pieces out.
func (g *ground) everyKeeper(ctx context.Context, b bypass) (words []keeperWord, err error) {
	id, err := (&asker{login: b.login}).session()
	if err != nil {
		return nil, err
	}
	q := requestFor(id, b.ask, b.rows)
	by := b.login.Key
	if b.sign != nil {
		by = b.sign
	}
	bytes := q.Sign(by)
	words = make([]keeperWord, len(g.n.Set().Keepers))
	var wg sync.WaitGroup
	for i := range g.n.Set().Keepers {
		wg.Go(func() { words[i] = g.oneKeeper(ctx, &asker{entry: &g.n.Set().Keepers[i], login: b.login}, b, bytes) })
	}
	wg.Wait()
	return words, nil
}

// oneKeeper sends one question to one keeper. For whoever has not the session's
// reply key a sealed answer counts as released, and stays sealed.
func (g *ground) oneKeeper(ctx context.Context, a *asker, b bypass, bytes []byte) keeperWord {
	c, err := keeper.Dial(a.entry.URL, a.entry.SPKI)
	if err != nil {
		return keeperWord{reason: reasonIn(err)}
	}
	defer c.Close()
	if b.sign != nil {
		if _, err = c.Call(ctx, keeper.RouteSession, a.login.Signed); err == nil {
			_, err = c.Call(ctx, keeper.RouteRequest, bytes)
		}
		return keeperWord{released: err == nil, reason: reasonIn(err)}
	}
	channel, err := a.open(ctx, c)
	if err != nil {
		return keeperWord{reason: reasonIn(err)}
	}
	reply, err := a.send(ctx, c, channel, bytes)
	if err != nil {
		return keeperWord{reason: reasonIn(err)}
	}
	return keeperWord{released: len(reply.Pieces) > 0, reason: reply.Reason}
}

func reasonIn(err error) abaton.Reason {
	if err == nil {
		return ""
	}
	if refused, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return refused.Reason
	}
	return abaton.ReasonStorage
}

// opens tries the same as a client that takes any three keepers' pieces.
func (g *ground) opens(ctx context.Context, h *haul, b bypass) error {
	if b.sign != nil {
		return nil // no reply can be read
	}
	reader, err := g.org.net.NewReader(b.login)
	if err != nil {
		return err
	}
	defer reader.Close()
	got, err := reader.Get(ctx, b.ask, b.rows...)
	if err != nil {
		return nil
	}
	for i := range got.Records {
		if len(got.Records[i].Content) > 0 {
			h.records[got.Records[i].Name], h.patients[b.ask.Patient] = b.ask.Patient, true
		}
	}
	return nil
}

// withoutChecks is the API with its authentication removed: one check after the
// other is switched off at one keeper, then at a second one too. mutants is how
// many in the end: from the threshold on it opens, which is the control.
func withoutChecks(mutants int) func(context.Context, *ground) (loss, error) {
	return func(ctx context.Context, g *ground) (loss, error) {
		l, h := unseen(), newHaul()
		began := time.Now()
		all, err := g.bypassing(ctx)
		if err != nil {
			return l, err
		}
		var tried []string
		for i := range all {
			if err := g.tryBypass(ctx, &l, h, &all[i], mutants); err != nil {
				return l, fmt.Errorf("%s: %w", all[i].check, err)
			}
			tried = append(tried, all[i].check)
		}
		l.detail = fmt.Sprintf("off in turn: %s; each mutant handed out its pieces, %d of them open nothing, the others refused and ledgered it; lease and budget have nothing to refuse here",
			strings.Join(tried, ", "), mutants)
		_, err = g.account(ctx, &l, began, h, func(line *ledger.Entry) bool { return g.patientNamed(line.Actor) == nil })
		return l, err
	}
}

func (g *ground) tryBypass(ctx context.Context, l *loss, h *haul, b *bypass, mutants int) (err error) {
	defer func() {
		for x := abaton.KeeperIndex(1); int(x) <= mutants; x++ {
			err = errors.Join(err, g.run.StopKeeper(x), g.run.StartKeeper(ctx, x, local.Build{}))
		}
	}()
	for x := abaton.KeeperIndex(1); int(x) <= mutants; x++ {
		if err := g.run.StopKeeper(x); err != nil {
			return err
		}
		if err := g.run.StartKeeper(ctx, x, local.Build{Folder: g.mutant, Flags: []string{"-skip=" + b.check}}); err != nil {
			return err
		}
		if err := g.tryStage(ctx, l, h, b, int(x)); err != nil {
			return err
		}
	}
	return nil
}

// tryStage attacks while so many keepers have the check off: those must answer,
// or the drill shows nothing, and all others must refuse.
func (g *ground) tryStage(ctx context.Context, l *loss, h *haul, b *bypass, mutants int) error {
	asked := time.Now()
	words, err := g.everyKeeper(ctx, *b)
	if err != nil {
		return err
	}
	for i, w := range words {
		switch off := i < mutants; {
		case off && !w.released:
			return fmt.Errorf("keeper %d has the check off and refuses: %s", i+1, w.reason)
		case !off && w.released:
			return fmt.Errorf("keeper %d has the check on and released", i+1)
		}
	}
	if took := time.Since(asked); l.seen < took { // the refusals are in as many ledgers
		l.seen, l.stopped = took, took
	}
	return g.opens(ctx, h, *b)
}

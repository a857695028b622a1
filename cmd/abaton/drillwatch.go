package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// watchDrills attack what the watch knows: whom it waits for, and its memory.
func watchDrills() []drill {
	return []drill{
		{name: "honey", attack: "a stolen session comes upon a made-up patient, at one keeper", bothLocks: true, run: honeyOpened},
		{name: "restart", attack: "a stolen session reads, and every keeper is killed and started again in the middle", bothLocks: true, run: restartInMidAttack},
	}
}

// honeyOpened has a thief open two patients, and then ask one keeper for one who is
// made up. That request proves itself: all five refuse the thief from then on.
func honeyOpened(ctx context.Context, g *ground) (l loss, err error) {
	l = unseen()
	p, err := g.bad()
	if err != nil {
		return l, err
	}
	honey := g.patients[30]
	from := time.Now().Add(-time.Minute).Unix()
	if err := g.relates(ctx, g.org.Manage, relation.MakeHoney(honey.Manage, honey.ID, g.org.ID, from, from+3600)); err != nil {
		return l, err
	}
	defer func() { // a patient like others for the drills after this
		err = errors.Join(err, g.relates(ctx, g.org.Manage, relation.Entry{Patient: honey.ID, Kind: relation.Honey, From: from, Until: from}))
	}()
	login, err := lent(ctx, g.n, p)
	if err != nil {
		return l, err
	}
	x := &export{g: g, logins: once(login), order: g.patients[15:17]}
	if err := x.run(ctx); err != nil {
		return l, err
	}
	hostile := time.Now()
	if err := g.touchesHoney(ctx, login, honey); err != nil {
		return l, err
	}
	l.seen = time.Since(hostile)
	if l.stopped, err = g.stoppedFor(ctx, x, login); err != nil {
		return l, err
	}
	l.stopped -= hostile.Sub(x.began)
	proved, err := g.proved(ctx, p.ID)
	if err != nil {
		return l, err
	}
	l.detail = fmt.Sprintf("one keeper was asked, and %d others hold its verdict with the thief's own signature as proof; %d patients had been opened before; seconds from the touch on",
		proved, len(x.haul.patients))
	if _, err = g.account(ctx, &l, x.began, x.haul, func(line *ledger.Entry) bool { return x.sessions[line.Session] }); err != nil {
		return l, err
	}
	if proved < 4 || len(x.haul.patients) != len(x.order) {
		err = fmt.Errorf("%d keepers hold a proof, %d patients opened before; want 4 and %d", proved, len(x.haul.patients), len(x.order))
	}
	return l, err
}

// touchesHoney asks the first keeper alone for a made-up patient.
func (g *ground) touchesHoney(ctx context.Context, login client.Login, honey *people.Person) error {
	ask, err := g.ask(ctx, honey)
	if err != nil {
		return err
	}
	rows, err := g.rows(ctx, ask)
	if err != nil {
		return err
	}
	a := &asker{entry: &g.n.Set().Keepers[0], login: login}
	id, err := a.session()
	if err != nil {
		return err
	}
	q := requestFor(id, ask, rows)
	if w := g.oneKeeper(ctx, a, bypass{login: login}, q.Sign(login.Key)); w.released || w.reason != abaton.ReasonSuspended {
		return fmt.Errorf("a made-up patient: got released %v, %q, want %q", w.released, w.reason, abaton.ReasonSuspended)
	}
	return nil
}

// proved is how many keepers hold somebody back by another's word, with proof.
func (g *ground) proved(ctx context.Context, who abaton.ActorID) (n int, err error) {
	held, err := g.org.net.Held(ctx, g.org.ID)
	if err != nil {
		return 0, err
	}
	for _, h := range held {
		if h.Subject == who && h.Proof && !slices.Contains(h.By, h.Keeper) {
			n++
		}
	}
	return n, nil
}

// relates tells every keeper.
func (g *ground) relates(ctx context.Context, by *key.Signing, entries ...relation.Entry) error {
	message, err := relation.Sign(by, g.org.ID, time.Now(), entries)
	if err != nil {
		return err
	}
	for i := range g.n.Set().Keepers {
		reasons, err := g.org.net.TellRelations(ctx, g.n.Set().Keepers[i].X, message, len(entries))
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(reasons, func(r abaton.Reason) bool { return r != "" }); i >= 0 {
			return fmt.Errorf("tell relations: %w", abaton.Refuse(reasons[i]))
		}
	}
	return nil
}

// restartInMidAttack opens four patients, fewer than anybody finds odd; then all
// keepers are killed and started, and the thief opens four others, and so on. What
// it opened before counts, and what they said of it stands.
func restartInMidAttack(ctx context.Context, g *ground) (loss, error) {
	l, all := unseen(), newHaul()
	p, err := g.bad()
	if err != nil {
		return l, err
	}
	login, err := lent(ctx, g.n, p)
	if err != nil {
		return l, err
	}
	const atOnce, rounds = 4, 4
	began, starts, opened := time.Now(), 0, atOnce
	// The last ones: of those that others read today the watch asks more (D12).
	for part := range slices.Chunk(g.patients[g.size-atOnce*rounds:], atOnce) {
		x := &export{g: g, logins: once(login), order: part}
		if err := x.run(ctx); err != nil {
			return l, err
		}
		all.join(x.haul)
		since := x.began.Sub(began)
		if opened = len(x.haul.patients); x.seen >= 0 {
			if l.seen < 0 {
				l.seen, l.stopped = since+x.seen, since+x.seen
			}
			if opened > 0 {
				l.stopped = since + max(x.seen, x.last)
			}
			l.detail = x.told()
		}
		if starts == 0 && opened < atOnce {
			return l, fmt.Errorf("%d patients opened before the first start, want %d: this shows nothing", opened, atOnce)
		}
		if opened == 0 {
			break
		}
		if err := g.restarts(ctx); err != nil {
			return l, err
		}
		starts++
	}
	l.detail = fmt.Sprintf("all five killed and started %d times; %s; seconds with the starts in them", starts, l.detail)
	_, err = g.account(ctx, &l, began, all, bySession(login))
	if n := len(all.patients); n > exportPatientsMax || opened > 0 {
		err = errors.Join(err, fmt.Errorf("not contained: %d of %d patients, at most %d; %d after the last start", n, atOnce*rounds, exportPatientsMax, opened))
	}
	return l, err
}

// restarts kills all keepers, and starts them again.
func (g *ground) restarts(ctx context.Context) (err error) {
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		err = errors.Join(err, g.run.KillKeeper(x))
	}
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		err = errors.Join(err, g.run.LaunchKeeper(x, local.Build{}))
	}
	for x := abaton.KeeperIndex(1); x <= local.Keepers; x++ {
		err = errors.Join(err, g.run.AwaitKeeper(ctx, x))
	}
	return err
}

// silentMax is how long a silent keeper may stay unfound: a lease, the tick after
// it, and room for a slow machine.
const silentMax = abaton.LeaseMax + 30*time.Second

// silentKeeper has one keeper answer readers and tell its peers nothing: neither
// what patients revoked, nor its ledger's head.
func silentKeeper(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const silent abaton.KeeperIndex = 4
	found := make(map[abaton.KeeperIndex]int)
	for _, x := range g.othersThan(silent) {
		s, err := g.stateOfKeeper(ctx, x)
		if err != nil {
			return l, err
		}
		found[x] = s.Findings["peer"]
	}
	hostile := time.Now()
	if err := g.run.StopKeeper(silent); err != nil {
		return l, err
	}
	err := g.run.StartKeeper(ctx, silent, local.Build{Folder: g.mutant, Flags: []string{"-skip=feed"}})
	if err == nil {
		err = g.awaitSilent(ctx, silent, found)
	}
	l.seen = time.Since(hostile)
	err = errors.Join(err, g.run.StopKeeper(silent), g.run.StartKeeper(ctx, silent, local.Build{}))
	l.stopped = time.Since(hostile)
	if err != nil {
		return l, err
	}
	l.detail = fmt.Sprintf("each of the four others found it after its lease of %v, which no setting shortens; records opened meanwhile; stopped when the operator put the honest build back", abaton.LeaseMax)
	_, err = g.account(ctx, &l, began, newHaul(), g.anybody)
	return l, err
}

// awaitSilent waits until all others have found the silent one, and reads a
// record meanwhile.
func (g *ground) awaitSilent(ctx context.Context, silent abaton.KeeperIndex, before map[abaton.KeeperIndex]int) error {
	if _, err := g.ownChart(ctx, g.patients[0]); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, silentMax)
	defer cancel()
	for _, x := range g.othersThan(silent) {
		for {
			if s, err := g.stateOfKeeper(ctx, x); err == nil && s.Findings["peer"] > before[x] {
				break
			}
			if pause(ctx, 200*time.Millisecond) != nil {
				return fmt.Errorf("keeper %d does not find that keeper %d is silent", x, silent)
			}
		}
	}
	return nil
}

func (g *ground) othersThan(x abaton.KeeperIndex) (all []abaton.KeeperIndex) {
	for i := range g.n.Set().Keepers {
		if y := g.n.Set().Keepers[i].X; y != x {
			all = append(all, y)
		}
	}
	return all
}

// lyingVerdicts has a keeper's stolen key say of the whole house that it is to be
// suspended. Care goes on with a touch of the passkey; once the keeper has said so
// of too many, nobody listens and no touch is asked.
func lyingVerdicts(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const liar abaton.KeeperIndex = 3
	carer, err := g.bad()
	if err != nil {
		return l, err
	}
	stolen, err := g.keyOf(liar)
	if err != nil {
		return l, err
	}
	cared := g.patients[20:23]
	if err := g.appoints(ctx, carer, cared); err != nil {
		return l, err
	}
	var staff []abaton.ActorID
	for _, p := range g.staff {
		staff = append(staff, p.ID)
	}
	hostile := time.Now()
	if err := g.lies(ctx, liar, stolen, staff...); err != nil {
		return l, err
	}
	during, err := g.cares(ctx, carer, cared)
	if err != nil {
		return l, err
	}
	if err := g.lies(ctx, liar, stolen, strangers(contain.SubjectsPerHourMax)...); err != nil {
		return l, err
	}
	for _, x := range g.othersThan(liar) {
		if err := g.awaitState(ctx, x, "a finding", func(s keeperState) bool { return s.Findings["budget"] > 0 }); err != nil {
			return l, err
		}
	}
	l.seen = time.Since(hostile)
	after, err := g.cares(ctx, carer, cared)
	if err != nil {
		return l, err
	}
	l.stopped = time.Since(hostile)
	l.detail = fmt.Sprintf("verdicts about %d of the staff and %d strangers; care went on with a touch (step-up asked %d times) and, once four keepers had found the liar, without one (%d times)",
		len(staff), contain.SubjectsPerHourMax, during, after)
	_, err = g.account(ctx, &l, began, newHaul(), func(line *ledger.Entry) bool { return g.anybody(line) && line.Actor != carer.ID })
	if during == 0 || after > 0 {
		err = errors.Join(err, fmt.Errorf("step-ups asked: %d while the liar counted, %d after; want some and none", during, after))
	}
	return l, err
}

// appoints tells every keeper that somebody has an appointment with each.
func (g *ground) appoints(ctx context.Context, who *people.Person, with []*people.Person) error {
	now := time.Now().Unix()
	var all []relation.Entry
	for _, p := range with {
		all = append(all, relation.Entry{Patient: p.ID, Whom: who.ID, Kind: relation.Appointment, From: now - 60, Until: now + 3600})
	}
	slices.SortFunc(all, relation.Compare)
	return g.relates(ctx, g.org.Manage, all...)
}

// lies tells the others, under a keeper's key, that each of them is to be suspended.
func (g *ground) lies(ctx context.Context, liar abaton.KeeperIndex, by *key.Signing, about ...abaton.ActorID) error {
	m := keeper.Verdicts{V: wire.Version}
	for _, id := range about {
		now := time.Now()
		said, err := contain.Sign(by, contain.Verdict{Keeper: liar, Organisation: g.org.ID, Subject: contain.Person(id), Level: detect.SuspendPerson,
			Rules: detect.Of(detect.D1), Time: now.Unix(), Until: now.Add(time.Hour).Unix()})
		if err != nil {
			return err
		}
		m.Verdicts = append(m.Verdicts, said.Marshal())
	}
	for _, x := range g.othersThan(liar) {
		entry := g.n.Set().Keeper(x)
		c, err := keeper.Dial(entry.URL, entry.SPKI)
		if err != nil {
			return err
		}
		_, err = c.Call(ctx, keeper.RouteVerdict, wire.Marshal(m))
		c.Close()
		if err != nil {
			return fmt.Errorf("keeper %d: %w", x, err)
		}
	}
	return nil
}

// strangers are names of nobody.
func strangers(n int) (all []abaton.ActorID) {
	for range n {
		var id abaton.ActorID
		rand.Read(id[:])
		all = append(all, id)
	}
	return all
}

// cares reads patients as whoever treats them does, in a new session, and says how
// often a touch was asked. All must open.
func (g *ground) cares(ctx context.Context, who *people.Person, of []*people.Person) (asked int, err error) {
	login, err := lent(ctx, g.n, who)
	if err != nil {
		return 0, err
	}
	x := &export{g: g, logins: once(login), touch: who.Passkey, order: of}
	if err := x.run(ctx); err != nil {
		return 0, err
	}
	if len(x.haul.patients) != len(of) {
		return 0, fmt.Errorf("care stopped: %d of %d patients opened, %s", len(x.haul.patients), len(of), x.told())
	}
	return x.refusals[abaton.ReasonStepUp], nil
}

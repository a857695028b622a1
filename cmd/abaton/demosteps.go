package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/testdata/patients"
)

// importing brings the sample patients in.
func (d *demo) importing(ctx context.Context) (result, error) {
	r := result{unit: "resources"}
	sources, err := sourcesIn(patients.Files)
	if err != nil {
		return r, err
	}
	m, err := newImporter(ctx, d.e, d.n)
	if err != nil {
		return r, err
	}
	out, err := m.run(ctx, sources)
	if err != nil {
		return r, err
	}
	r.figure, d.imported = float64(out.Resources), out.Resources
	r.detail = fmt.Sprintf("of %d patients, durable at the keepers, %.0f a second", out.Patients, float64(out.Resources)/out.Spent.Seconds())
	if out.Refused > 0 || out.Pending > 0 || out.Resources == 0 {
		return r, fmt.Errorf("%d refused, %d not yet durable", out.Refused, out.Pending)
	}
	return r, nil
}

// readBack reads everything back and compares it with what came in.
func (d *demo) readBack(ctx context.Context) (result, error) {
	r := result{unit: "resources"}
	office, err := d.n.People().Load(officeHandle)
	if err != nil {
		return r, err
	}
	s, _, err := signIn(ctx, d.n, office)
	if err != nil {
		return r, err
	}
	sources, err := sourcesIn(patients.Files)
	if err != nil {
		return r, err
	}
	if err := d.locate(ctx, s, sources); err != nil {
		return r, err
	}
	if err := d.people(); err != nil {
		return r, err
	}
	charts := 0
	for _, b := range d.bundles {
		if b.owner == nil {
			continue
		}
		_, err := d.compare(ctx, s, b, nil)
		if err != nil {
			return r, fmt.Errorf("%s: %w", b.owner.Handle, err)
		}
		charts++
	}
	n, err := d.compareDirectory(ctx, s)
	r.figure = float64(len(d.inCharts) + n)
	if err != nil {
		return r, fmt.Errorf("directory: %w", err)
	}
	if len(d.inCharts)+n != d.imported {
		return r, fmt.Errorf("%d resources came in", d.imported)
	}
	r.detail = fmt.Sprintf("in %d charts and the directory, each equal to what came in; the same Bundles sent again added nothing", charts)
	return r, d.openOwn(ctx)
}

// readWithoutGrant is ben, asking for what nobody gave him.
func (d *demo) readWithoutGrant(ctx context.Context) (result, error) {
	r := result{unit: "ledgers"}
	if d.chart == nil {
		return r, errBefore
	}
	s, err := d.signIn(ctx, d.ben)
	if err != nil {
		return r, err
	}
	if _, err := everything(ctx, s, d.own.patient); !refusedByGateway(err) {
		return r, fmt.Errorf("the gateway did not refuse: %v", err)
	}
	row, err := d.rowOf()
	if err != nil {
		return r, err
	}
	all, err := d.openEverywhere(ctx, abaton.GrantID{1}, row)
	if err != nil {
		return r, err
	}
	defer all.close()
	n, err := all.permitted(ctx)
	if err != nil {
		return r, err
	}
	if n > 0 {
		return r, fmt.Errorf("%d keepers did not refuse", n)
	}
	h, err := d.history(ctx)
	if err != nil {
		return r, err
	}
	r.figure = float64(refusals(h, d.ben.ID, row))
	r.detail = "hold the refusal; the gateway and all five keepers gave nothing"
	if r.figure < float64(d.n.Set().T) {
		return r, errors.New("too few ledgers hold the refusal")
	}
	return r, nil
}

// errBefore says that a step could not be taken.
var errBefore = errors.New("an earlier step did not hold")

func refusedByGateway(err error) bool {
	g, ok := errors.AsType[*people.GatewayError](err)
	return ok && (g.Status == 403 || g.Status == 404)
}

// refusals counts the ledgers in which somebody was refused exactly this.
func refusals(h *ledger.History, who abaton.ActorID, row client.Row) int {
	most := 0
	for i := range h.Lines {
		l := &h.Lines[i]
		for _, one := range l.Rows {
			if l.Actor == who && one.Batch == row.Batch && one.Refused == row.Records && one.Released == 0 {
				most = max(most, len(l.Keepers))
			}
		}
	}
	return most
}

// history is the patient's own list of disclosures.
func (d *demo) history(ctx context.Context) (*ledger.History, error) {
	reader, err := d.reader(ctx, d.patient)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return reader.History(ctx, d.patient.ID)
}

// giveAccess lets ben read three parts of the record.
func (d *demo) giveAccess(ctx context.Context) (result, error) {
	r := result{unit: "ms"}
	if d.chart == nil {
		return r, errBefore
	}
	began := time.Now()
	id, p, err := d.patient.Give(ctx, d.patient.net, people.Terms{To: d.ben.Person, Actions: grant.Read, Categories: granted,
		Purpose: abaton.Treatment, Life: time.Hour, Quota: people.RecordsMax})
	r.figure = ms(began)
	if err != nil {
		return r, err
	}
	d.grant = id
	r.detail = fmt.Sprintf("until in force at %d of %d keepers", p.At, p.Of)
	if !p.InForce {
		return r, errors.New("it is not in force")
	}
	return r, nil
}

func ms(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }

// read is ben, asking for what he was given: that, and no more.
func (d *demo) read(ctx context.Context) (result, error) {
	r := result{unit: "ms"}
	n, took, err := d.benReads(ctx)
	r.figure = took
	r.detail = fmt.Sprintf("for a chart of %d resources, cold: all that was given and nothing else", n)
	return r, err
}

// benReads signs ben in, reads the patient's chart cold, and compares it with
// what he may see.
func (d *demo) benReads(ctx context.Context) (resources int, took float64, err error) {
	if d.grant == (abaton.GrantID{}) {
		return 0, 0, errBefore
	}
	s, err := d.signIn(ctx, d.ben)
	if err != nil {
		return 0, 0, err
	}
	d.reads++
	began := time.Now()
	resources, err = d.compare(ctx, s, d.own, d.shown())
	return resources, ms(began), err
}

// shown tells which of the patient's resources lie in the parts that ben was
// given.
func (d *demo) shown() func(at string) bool {
	given := make(map[abaton.Line]bool)
	for _, line := range d.lines(granted) {
		given[line] = true
	}
	at := make(map[string]bool)
	for i := range d.chart.Records {
		r := &d.chart.Records[i]
		at[r.Envelope.Type+"/"+r.Envelope.ID] = given[r.Line]
	}
	return func(name string) bool { return at[name] }
}

// twoKilled kills two keepers and reads on.
func (d *demo) twoKilled(ctx context.Context) (result, error) {
	r := result{unit: "ms"}
	if err := d.settled(ctx); err != nil {
		return r, err
	}
	a, b := d.dice.Two(local.Keepers)
	x, y := abaton.KeeperIndex(a), abaton.KeeperIndex(b)
	if err := errors.Join(d.run.KillKeeper(x), d.run.KillKeeper(y)); err != nil {
		return r, err
	}
	n, took, err := d.benReads(ctx)
	r.figure = took
	r.detail = fmt.Sprintf("for a chart of %d resources, cold, with keepers %d and %d killed", n, x, y)
	return r, errors.Join(err, d.honestAgain(ctx, x, y))
}

// honestAgain starts keepers in the build that ships.
func (d *demo) honestAgain(ctx context.Context, xs ...abaton.KeeperIndex) (err error) {
	for _, x := range xs {
		err = errors.Join(err, d.run.StartKeeper(ctx, x, local.Build{}))
	}
	return err
}

// lieTries is how often a chart is read until the liar is among those asked: a
// reader asks three of the four that are there.
const lieTries = 40

// oneLostOneLying loses one keeper and has another falsify every fragment.
func (d *demo) oneLostOneLying(ctx context.Context) (result, error) {
	r := result{unit: "proofs"}
	if d.grant == (abaton.GrantID{}) {
		return r, errBefore
	}
	if err := d.settled(ctx); err != nil {
		return r, err
	}
	a, b := d.dice.Two(local.Keepers)
	lost, liar := abaton.KeeperIndex(a), abaton.KeeperIndex(b)
	if err := errors.Join(d.run.KillKeeper(lost), d.run.StopKeeper(liar)); err != nil {
		return r, err
	}
	err := d.run.StartKeeper(ctx, liar, local.Build{Folder: d.liar, Flags: []string{"-lie=fragment"}})
	if err == nil {
		r, err = d.catch(ctx, lost, liar)
	}
	err = errors.Join(err, d.run.StopKeeper(liar))
	return r, errors.Join(err, d.honestAgain(ctx, lost, liar))
}

// catch reads until the liar is named, and sees that everything still opens.
func (d *demo) catch(ctx context.Context, lost, liar abaton.KeeperIndex) (result, error) {
	r := result{unit: "proofs"}
	for try := 1; try <= lieTries; try++ {
		c, err := d.benOpens(ctx)
		if err != nil {
			return r, err
		}
		for _, f := range c.Faults {
			if f.Keeper != liar {
				return r, fmt.Errorf("keeper %d was named, and keeper %d lies", f.Keeper, liar)
			}
			if _, err := client.VerifyFault(d.n.Set(), f); err != nil {
				return r, fmt.Errorf("the proof against keeper %d does not hold: %w", liar, err)
			}
			r.figure++
		}
		if r.figure == 0 {
			continue
		}
		n, took, err := d.benReads(ctx)
		r.detail = fmt.Sprintf("against keeper %d, which lied; keeper %d was lost; all %d records opened, and through the gateway %d resources in %.0f ms",
			liar, lost, len(c.Records), n, took)
		return r, err
	}
	return r, fmt.Errorf("keeper %d was not named in %d readings", liar, lieTries)
}

// benOpens opens all that ben was given, straight at the keepers.
func (d *demo) benOpens(ctx context.Context) (*client.Chart, error) {
	d.ben.net.Refresh(d.patient.ID)
	reader, err := d.reader(ctx, d.ben)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	d.reads++
	c, err := reader.Chart(ctx, d.ask(d.grant))
	if err != nil {
		return nil, err
	}
	want := 0
	shown := d.shown()
	for i := range d.chart.Records {
		if e := &d.chart.Records[i].Envelope; shown(e.Type + "/" + e.ID) {
			want++
		}
	}
	if len(c.Missing) > 0 || c.Hidden > 0 || len(c.Records) != want {
		return nil, fmt.Errorf("%d of %d records opened, %d missing", len(c.Records), want, len(c.Missing))
	}
	return c, nil
}

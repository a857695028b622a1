package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/thief"
	"github.com/abaton-health/abaton/ledger"
)

// keeperDrills attack keepers themselves. Those that hurt most come last.
func keeperDrills() []drill {
	return []drill{
		{name: "api-without-checks", attack: "the checks before an answer are switched off, one after the other, at one keeper and then at two", run: withoutChecks(2)},
		{name: "stolen-disk", attack: "one keeper's disk is copied, with all its keys", silent: true, run: stolenDisks(1)},
		{name: "two-keepers", attack: "two keepers put their disks, keys and shares together", silent: true, run: stolenDisks(2)},
		{name: "poisoned-update", attack: "an update makes one keeper falsify every fragment that it hands out", run: poisonedUpdate},
		{name: "silent-keeper", attack: "one keeper goes on answering readers, and tells its peers nothing more", run: silentKeeper},
		{name: "lying-verdicts", attack: "with a keeper's stolen key verdicts are signed that suspend everybody", run: lyingVerdicts},
		{name: "ledger-forked", attack: "with a keeper's stolen key another past is signed for its ledger", run: forkedLedger},
		{name: "ledger-shortened", attack: "the end of a keeper's ledger is taken away while it is down", run: shortenedLedger},
		{name: "ransomware", attack: "every file of two keepers is overwritten while they run", run: ransomware},
	}
}

// anybody matches what others than patients did.
func (g *ground) anybody(l *ledger.Entry) bool { return g.patientNamed(l.Actor) == nil }

// stolenDisks copies the disks of so many keepers and lets the thief's opener at
// them, together and each by itself.
func stolenDisks(keepers int) func(context.Context, *ground) (loss, error) {
	return func(ctx context.Context, g *ground) (loss, error) {
		l, began := unseen(), time.Now()
		var loot []*thief.Loot
		for x := abaton.KeeperIndex(2); int(x) < 2+keepers; x++ {
			if err := g.run.KillKeeper(x); err != nil {
				return l, err
			}
			one, err := thief.Steal(ctx, filepath.Join(g.dir, "stolen", fmt.Sprintf("%d-%d", keepers, x)), g.n.KeeperDir(x))
			if err = errors.Join(err, g.run.StartKeeper(ctx, x, local.Build{})); err != nil {
				return l, err
			}
			loot = append(loot, one)
		}
		if found, kinds, err := thief.Control(ctx, filepath.Join(g.dir, "stolen", fmt.Sprint("control", keepers)), g.facts); err != nil || found < kinds {
			return l, errors.Join(fmt.Errorf("the thief's opener finds %d of %d records that lie open", found, kinds), err)
		}
		report, err := thief.Open(ctx, g.facts, loot...)
		if err != nil {
			return l, err
		}
		if err := searched(report, false); err != nil {
			return l, err
		}
		if _, err := g.account(ctx, &l, began, newHaul(), g.anybody); err != nil {
			return l, err
		}
		l.records = report.Found
		l.detail = fmt.Sprintf("%d files, %d fragments of %.3f bits a byte, %d shares unsealed, %d keys tried, %d facts searched for, %d found; a copied disk shows nowhere",
			report.Files, report.Fragments, report.BitsPerByte, report.Shares, report.Secrets, report.Facts, report.Found)
		return l, nil
	}
}

// poisonedUpdate starts one keeper in a build that lies, and reads until it is
// named with a proof that a stranger can check.
func poisonedUpdate(ctx context.Context, g *ground) (loss, error) {
	l, began := unseen(), time.Now()
	const liar abaton.KeeperIndex = 3
	if err := g.run.StopKeeper(liar); err != nil {
		return l, err
	}
	err := g.run.StartKeeper(ctx, liar, local.Build{Folder: g.mutant, Flags: []string{"-lie=fragment"}})
	read := 0
	poisoned := time.Now()
	for try := 0; err == nil && l.seen < 0; try++ {
		var c *client.Chart
		if c, err = g.ownChart(ctx, g.patients[try%len(g.patients)]); err != nil {
			break
		}
		read += len(c.Records)
		for _, f := range c.Faults {
			if f.Keeper != liar {
				return l, fmt.Errorf("keeper %d was named, and keeper %d lies", f.Keeper, liar)
			}
			if _, bad := client.VerifyFault(g.n.Set(), f); bad != nil {
				return l, fmt.Errorf("the proof does not hold: %w", bad)
			}
			l.seen = time.Since(poisoned)
		}
		if try > lieTries {
			err = fmt.Errorf("keeper %d was not named in %d readings", liar, try)
		}
	}
	err = errors.Join(err, g.run.StopKeeper(liar), g.run.StartKeeper(ctx, liar, local.Build{}))
	l.stopped = time.Since(poisoned)
	if err != nil {
		return l, err
	}
	l.detail = fmt.Sprintf("keeper %d named with proof; all %d records read meanwhile opened as they were written; stopped when the operator put the honest build back", liar, read)
	_, err = g.account(ctx, &l, began, newHaul(), g.anybody)
	return l, err
}

// ownChart is a patient's whole record from the patient's own device, every
// record of it.
func (g *ground) ownChart(ctx context.Context, p *people.Person) (*client.Chart, error) {
	l, err := lent(ctx, g.n, p)
	if err != nil {
		return nil, err
	}
	reader, err := g.org.net.NewReader(l)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	ask := client.Ask{Patient: p.ID, Purpose: abaton.PatientAccess}
	for _, c := range fhir.Categories() {
		ask.Lines = append(ask.Lines, p.Line(c.ID()))
	}
	c, err := reader.Chart(ctx, sorted(ask))
	if err != nil {
		return nil, err
	}
	if len(c.Missing) > 0 || len(c.Records) < 4 {
		return nil, fmt.Errorf("a patient's own record: %d records, %d missing", len(c.Records), len(c.Missing))
	}
	return c, nil
}

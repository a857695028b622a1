package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/thief"
)

// diskStolen pulls the plug of two keepers and of the gateway, copies their
// folders with all their keys, and lets the thief's opener at them.
func (d *demo) diskStolen(ctx context.Context) (result, error) {
	r := result{unit: "findings"}
	facts, err := d.facts()
	if err != nil {
		return r, err
	}
	a, b := d.dice.Two(local.Keepers)
	x, y := abaton.KeeperIndex(a), abaton.KeeperIndex(b)
	if err := errors.Join(d.run.KillKeeper(x), d.run.KillKeeper(y), d.run.KillGateway()); err != nil {
		return r, err
	}
	one, errOne := thief.Steal(ctx, d.path("stolen", "one"), d.n.KeeperDir(x))
	two, errTwo := thief.Steal(ctx, d.path("stolen", "two"), d.n.KeeperDir(y))
	gateway, errGateway := thief.StealFiles(ctx, d.path("stolen", "gateway"), d.n.GatewayDir())
	err = errors.Join(errOne, errTwo, errGateway, d.honestAgain(ctx, x, y), d.run.StartGateway(ctx, local.Build{}))
	if err != nil {
		return r, err
	}
	// The opener must find what lies open, or finding nothing says nothing.
	if found, kinds, err := thief.Control(ctx, d.path("stolen", "control"), facts); err != nil || found < kinds {
		return r, errors.Join(fmt.Errorf("the thief's opener finds %d of %d records that lie open", found, kinds), err)
	}
	for _, stolen := range [][]*thief.Loot{{one}, {one, two}, {gateway}} {
		report, err := thief.Open(ctx, facts, stolen...)
		if err != nil {
			return r, err
		}
		r.figure += float64(report.Found)
		if report.Found > 0 {
			return r, fmt.Errorf("%d stolen folders: %s", len(stolen), report.Readable())
		}
		if err := searched(report, stolen[0] == gateway); err != nil {
			return r, err
		}
		if len(stolen) == 2 {
			r.detail = fmt.Sprintf("in the disks and keys of keepers %d and %d, alone and together, and of the gateway: %d files, %d fragments of %.3f bits a byte, "+
				"%d shares unsealed, %d keys tried, %d facts searched for", x, y, report.Files, report.Fragments, report.BitsPerByte, report.Shares, report.Secrets, report.Facts)
		}
	}
	return r, nil
}

// searched refuses a search that was none.
func searched(r *thief.Report, filesOnly bool) error {
	switch {
	case r.Files == 0 || r.Facts == 0:
		return errors.New("the thief had nothing to search, or for")
	case filesOnly:
		return nil
	case r.Fragments == 0 || r.Shares != r.Fragments || r.Sealed != 0 || r.Secrets == 0 || r.Trials == 0:
		return fmt.Errorf("the thief did not get at everything: %d fragments, %d shares unsealed, %d left sealed", r.Fragments, r.Shares, r.Sealed)
	}
	return nil
}

// facts are texts of the records that came in.
func (d *demo) facts() ([]thief.Fact, error) {
	var resources []json.RawMessage
	for _, b := range d.bundles {
		if b.owner == nil {
			continue
		}
		for i := range b.bundle.Entries {
			resources = append(resources, b.bundle.Entries[i].Resource.Raw())
		}
	}
	if len(resources) == 0 {
		return nil, errBefore
	}
	return thief.FactsOf(resources...)
}

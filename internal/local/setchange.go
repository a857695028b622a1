package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/durable"
)

// RecoverKeeper gives keeper x a new ledger, as its operator and three others
// would: the keeper makes the change, four keepers sign it, the new set file is
// put in place, and keepers and gateway start with it. Keeper x may run or not.
func (p *Processes) RecoverKeeper(ctx context.Context, x abaton.KeeperIndex) error {
	if err := p.changeSet(ctx, x); err != nil {
		return fmt.Errorf("recover keeper %d: %w", x, err)
	}
	return p.restartAll(ctx)
}

// ReplaceKeeper makes an empty keeper with new keys in the place of x, whose
// folder must be gone. It does not repair it (RepairKeeper).
func (p *Processes) ReplaceKeeper(ctx context.Context, x abaton.KeeperIndex) error {
	return p.ReplaceKeepers(ctx, x)
}

// ReplaceKeepers is ReplaceKeeper for keepers lost together, one change after
// the other. The folder of the first must be gone; of the others the keys must
// lie there still, with which their operators sign the changes before their own.
func (p *Processes) ReplaceKeepers(ctx context.Context, xs ...abaton.KeeperIndex) error {
	o := Options{Binaries: p.binaries}
	for i, x := range xs {
		k := p.form.Keepers[x-1]
		var err error
		if i > 0 {
			err = os.RemoveAll(p.KeeperDir(x))
		}
		if err == nil {
			err = o.initKeeper(ctx, p.KeeperDir(x), k)
		}
		if err == nil {
			err = p.writeKeeperSettings(k, nil)
		}
		if err == nil {
			err = p.changeSet(ctx, x)
		}
		if err != nil {
			return fmt.Errorf("replace keeper %d: %w", x, err)
		}
	}
	return p.restartAll(ctx)
}

// RepairKeeper has running keeper x fetch what it lost; the text is the
// progress that it told.
func (p *Processes) RepairKeeper(ctx context.Context, x abaton.KeeperIndex) ([]byte, error) {
	o := Options{Binaries: p.binaries}
	return o.run(ctx, keeperBinary, "repair", "-config", filepath.Join(p.KeeperDir(x), keeperSettings))
}

// changeSet takes the change through the commands that operators use.
func (p *Processes) changeSet(ctx context.Context, x abaton.KeeperIndex) error {
	o := Options{Binaries: p.binaries}
	work, err := os.MkdirTemp(p.dir, "change-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	event := filepath.Join(work, "change.cbor")
	if _, err := o.run(ctx, keeperBinary, "recover", "-config", filepath.Join(p.KeeperDir(x), keeperSettings), event); err != nil {
		return err
	}
	args := []string{"amend", p.SetFile(), event}
	for y := abaton.KeeperIndex(1); y <= Keepers; y++ {
		if y == x {
			continue
		}
		proof, err := o.run(ctx, keeperBinary, "sign", "-dir", p.KeeperDir(y), "-set", p.SetFile(), event)
		if err != nil {
			return err
		}
		path := filepath.Join(work, fmt.Sprintf("proof%d.cbor", y))
		if err := durable.WriteFile(path, proof, 0o644); err != nil {
			return err
		}
		args = append(args, path)
	}
	next, err := o.run(ctx, keeperBinary, args...)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(p.SetFile(), next, 0o644); err != nil {
		return err
	}
	return p.load()
}

// restartAll starts every keeper and the gateway with the set file of now.
func (p *Processes) restartAll(ctx context.Context) error {
	gateway := running(p.gatewayNow())
	err := errors.Join(p.StopGateway(), p.stopAuthorities())
	for x := abaton.KeeperIndex(1); x <= Keepers; x++ {
		err = errors.Join(err, p.StopKeeper(x))
	}
	for x := abaton.KeeperIndex(1); x <= Keepers && err == nil; x++ {
		err = p.LaunchKeeper(x, Build{})
	}
	for x := abaton.KeeperIndex(1); x <= Keepers && err == nil; x++ {
		err = p.AwaitKeeper(ctx, x)
	}
	if err == nil && gateway {
		err = errors.Join(p.StartGateway(ctx, Build{}), p.startAuthorities(ctx))
	}
	return err
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/daemon"
)

// repairDesk starts repairs of the running keeper and tells how far they are,
// on the admin address.
type repairDesk struct {
	keeper *custody.Keeper
	peers  map[abaton.KeeperIndex]custody.Peer
	start  func(func()) // runs beside the keeper until it ends
	ctx    context.Context
}

// begin answers POST /repair: 202, or 409 while one runs.
func (d *repairDesk) begin(w http.ResponseWriter, _ *http.Request) {
	if d.keeper.RepairProgress().Running {
		w.WriteHeader(http.StatusConflict)
		return
	}
	d.start(func() { _ = d.keeper.Repair(d.ctx, d.peers) }) // how it ended stands in the progress
	w.WriteHeader(http.StatusAccepted)
}

// tell answers GET /repair.
func (d *repairDesk) tell(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(d.keeper.RepairProgress())
}

// below is the records that this keeper should hold and does not, as of the
// last whole pass; -1 before there was one.
func below(k *custody.Keeper) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "abaton_keeper_records_below_five",
		Help: "Records that others hold and this keeper does not, by the newest repair pass; -1 before the first.",
	}, func() float64 {
		p := k.RepairProgress()
		if p.Passes == 0 && !p.Running {
			return -1
		}
		return float64(p.Missing)
	})
}

// askEvery is how often a repair is asked how far it is.
const askEvery = 500 * time.Millisecond

// runRepair has the running keeper repair itself, and tells its progress until
// it is done. Ended early it can be run again: what is there is not fetched
// twice.
func runRepair(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := daemon.Flags("repair")
	path := flags.String("config", "", "")
	if flags.Parse(args) != nil || *path == "" || flags.NArg() != 0 {
		return daemon.ErrUsage
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	if c.Admin == "" {
		return errors.New("repair: the running keeper is asked at its admin address, and the settings have none")
	}
	url := "http://" + c.Admin + "/repair"
	before, err := askProgress(ctx, http.MethodGet, url)
	if err != nil {
		return err
	}
	if _, err := askProgress(ctx, http.MethodPost, url); err != nil {
		return err
	}
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		p, err := askProgress(ctx, http.MethodGet, url)
		if err != nil {
			return err
		}
		ended := !p.Running && (p.Passes > before.Passes || p.Failed != "")
		fmt.Fprintf(stdout, "%d of %d key logs: %d records restored, %d held, %d missing\n", p.Done, p.Logs, p.Restored, p.Held, p.Missing)
		switch {
		case ended && p.Failed != "":
			return fmt.Errorf("repair: it ended early: %s", p.Failed)
		case ended && p.Missing > 0:
			return fmt.Errorf("repair: %d records are missing still: too few other keepers answer, or answer well; run it again", p.Missing)
		case ended:
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func askProgress(ctx context.Context, method, url string) (p custody.Progress, err error) {
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return p, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return p, fmt.Errorf("repair: the keeper does not answer at its admin address: %w", err)
	}
	defer resp.Body.Close()
	if method == http.MethodPost {
		if resp.StatusCode != http.StatusAccepted && resp.StatusCode != http.StatusConflict {
			return p, fmt.Errorf("repair: the keeper answers %s", resp.Status)
		}
		return p, nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&p); err != nil {
		return p, fmt.Errorf("repair: the keeper's answer: %w", err)
	}
	return p, nil
}

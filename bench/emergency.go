package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/session"
)

// openingsMeasured is how often the set is opened, each time from a new
// sign-in and a new touch.
const openingsMeasured = 30

// emergencies measures what a clinician waits for: from the touch until the
// patient's emergency set is read, with two of five keepers and one of two
// authorities killed, on real processes.
func emergencies(ctx context.Context, b *bench) (err error) {
	dir, err := os.MkdirTemp("", "abaton-bench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return err
	}
	n, err := local.Make(ctx, filepath.Join(dir, "net"), local.Options{Binaries: bin, RecoveryWait: time.Second})
	if err != nil {
		return err
	}
	run, err := n.Start(ctx, bin)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.Stop()) }()
	files, err := filepath.Glob(filepath.Join("testdata", "patients", "*.json.gz"))
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("no sample patients: run it at the root of the module"))
	}
	bring := exec.CommandContext(ctx, filepath.Join(bin, "abaton"), append([]string{"import", "--dir", n.Dir()}, files...)...)
	if out, err := bring.CombinedOutput(); err != nil {
		return fmt.Errorf("import: %w: %s", err, tail(string(out)))
	}
	doctor, err := emergencyDoctor(ctx, n)
	if err != nil {
		return err
	}
	if err := errors.Join(run.KillKeeper(2), run.KillKeeper(4), run.KillAuthority(1)); err != nil {
		return err
	}
	all, records, err := openAgain(ctx, n, doctor)
	if err != nil {
		return err
	}
	floor := 5*b.value("bare loopback TLS 1.3 h2 round trip") + 3*b.value("bare fsync of 4 KB")
	detail := fmt.Sprintf("from the touch; two keepers and one authority killed; %d records", records)
	const limit = "five TLS round trips + three fsyncs"
	b.add(row{Name: "emergency set on screen, two keepers down, p50", Value: percentile(all, 0.5), Unit: "ms", Budget: "≤ 3,000 ms", Limit: floor, LimitName: limit, Detail: detail})
	b.add(row{Name: "emergency set on screen, two keepers down, max", Value: percentile(all, 1), Unit: "ms", Budget: "≤ 3,000 ms", Limit: floor, LimitName: limit, Detail: detail})
	return nil
}

// emergencyDoctor is somebody whom the clinic takes on for emergencies.
func emergencyDoctor(ctx context.Context, n *local.Network) (*people.Person, error) {
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	c, closeAll, err := n.Client(org.Manage)
	if err != nil {
		return nil, err
	}
	defer closeAll()
	doctor, err := n.People().NewClinician("dr-eda", "Dr Eda", org, abaton.RoleEmergency)
	if err != nil {
		return nil, err
	}
	return doctor, n.Enlist(ctx, c, doctor)
}

// openAgain opens the largest set again and again.
func openAgain(ctx context.Context, n *local.Network, doctor *people.Person) (all []time.Duration, records int, err error) {
	c, closeAll, err := n.Client(doctor.Manage)
	if err != nil {
		return nil, 0, err
	}
	defer closeAll()
	lenders, hangUp, err := n.Lenders()
	if err != nil {
		return nil, 0, err
	}
	defer hangUp()
	patients, err := n.People().All(actor.Patient)
	if err != nil {
		return nil, 0, err
	}
	open := func(p *people.Person) (took time.Duration, count int, err error) {
		start := time.Now()
		got, err := n.People().OpenEmergency(ctx, c, doctor, people.Urgent{Patient: p.ID, Why: session.CannotSpeak}, lenders)
		if err != nil {
			return 0, 0, err
		}
		if len(got.Chart.Missing) > 0 {
			return 0, 0, errors.New("records of the set are missing")
		}
		return time.Since(start), len(got.Chart.Records), nil
	}
	var largest *people.Person
	for _, p := range patients {
		_, count, err := open(p)
		for newRole(err) && ctx.Err() == nil { // the keepers have known the role for less than this network's wait
			_, count, err = open(p)
		}
		if err != nil {
			return nil, 0, err
		}
		if largest == nil || count > records {
			largest, records = p, count
		}
	}
	if largest == nil {
		return nil, 0, errors.New("no patients")
	}
	for range openingsMeasured {
		took, _, err := open(largest)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, took)
	}
	return all, records, nil
}

func newRole(err error) bool {
	refused, ok := errors.AsType[*abaton.RefusedError](err)
	return ok && refused.Reason == abaton.ReasonNewRole
}

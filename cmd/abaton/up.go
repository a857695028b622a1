package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/testdata/patients"
)

// startMax is how long the processes of a network may take to serve.
const startMax = 2 * time.Minute

func newUpCommand(e *env) *cobra.Command {
	var ephemeral, empty bool
	var listen, apps string
	var wait time.Duration
	c := &cobra.Command{Use: "up", Short: "Bring up five keepers and a gateway on this machine, with sample patients", Args: cobra.NoArgs,
		Long: `Bring up five keepers and a gateway on this machine, with sample patients, and
keep them running until Ctrl-C. Everything lies under --dir; the next "up" with
the same folder goes on where this one ended.`,
		Example: "  abaton up --dir run/demo\n  abaton up --ephemeral",
		RunE: func(c *cobra.Command, _ []string) error {
			if ephemeral {
				dir, err := os.MkdirTemp("", "abaton-")
				if err != nil {
					return err
				}
				e.dir = dir
				defer os.RemoveAll(dir)
			}
			return e.up(c.Context(), local.Options{Listen: listen, RecoveryWait: wait}, apps, !empty)
		}}
	c.Flags().BoolVar(&ephemeral, "ephemeral", false, "use a folder of its own and remove it at the end")
	c.Flags().BoolVar(&empty, "empty", false, "make no sample patients")
	c.Flags().StringVar(&listen, "listen", "", "the gateway's address, of a new network (default: a free port)")
	c.Flags().DurationVar(&wait, "recovery-wait", 0, "of a new network: recoveries wait only so long (default: the rule, 24h)")
	c.Flags().StringVar(&apps, "apps", "", "a registry of apps for the gateway to use from now on")
	return c
}

// up runs a network until ctx ends or one of its processes does.
func (e *env) up(ctx context.Context, o local.Options, apps string, samples bool) error {
	n, run, err := e.start(ctx, o)
	if err != nil {
		return err
	}
	if err = setApps(n, apps); err == nil {
		err = e.attend(ctx, n, run, samples)
	}
	e.say("Stopping.")
	if stopped := run.Stop(); stopped != nil {
		return errors.Join(err, stopped)
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // Ctrl-C is how it ends
	}
	return err
}

// start makes the network if there is none, and starts it.
func (e *env) start(ctx context.Context, o local.Options) (*local.Network, *local.Processes, error) {
	binaries, err := beside()
	if err != nil {
		return nil, nil, err
	}
	o.Binaries = binaries
	n, err := local.Make(ctx, e.dir, o)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	run, err := n.Start(ctx, binaries)
	if err != nil {
		return nil, nil, err
	}
	e.say("Five keepers and a gateway run, ready after %v. Their logs are in %s.", time.Since(began).Round(time.Millisecond),
		filepath.Join(e.dir, "*", "log"))
	return n, run, nil
}

// attend makes the samples, says what to try, and waits.
func (e *env) attend(ctx context.Context, n *local.Network, run *local.Processes, samples bool) error {
	if samples {
		if err := e.sample(ctx, n); err != nil {
			return err
		}
	}
	if err := e.whatToTry(ctx, n); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-run.Failed():
		return err
	}
}

// sample brings in the sample patients, whom dr-anna treats. What is there
// already stays as it is.
func (e *env) sample(ctx context.Context, n *local.Network) error {
	sources, err := sourcesIn(patients.Files)
	if err != nil {
		return err
	}
	m, err := newImporter(ctx, e, n)
	if err != nil {
		return err
	}
	m.readers = append(m.readers, treating(m.staff.anna))
	if agent, err := n.Agent(); err == nil {
		m.readers = append(m.readers, people.Feeding(agent))
	}
	out, err := m.run(ctx, sources)
	if err != nil {
		return err
	}
	e.report(out)
	if out.Refused > 0 {
		return errors.New("the sample patients were not all taken")
	}
	return nil
}

// whatToTry prints commands that work when pasted.
func (e *env) whatToTry(ctx context.Context, n *local.Network) error {
	all, err := n.People().All(actor.Patient)
	if err != nil {
		return err
	}
	e.print("\nThe gateway serves FHIR at %s. Ctrl-C stops it all.\n", n.GatewayURL())
	if len(all) == 0 {
		e.print("There are no patients yet: %s import --dir %s FILE...\n", self(), shellQuote(e.dir))
		return nil
	}
	p := all[0]
	id, err := e.fhirID(ctx, n, p.Handle)
	if err != nil {
		return err
	}
	a, dir := self(), shellQuote(e.dir)
	access := shellQuote(relative(n.People().AccessFile(annaHandle)))
	e.print(`
In another terminal, sign in as a doctor who may read, and read:
  %[1]s login --dir %[2]s --as dr-anna
  curl -s -H "Authorization: Bearer $(cat %[3]s)" '%[4]s/Patient/%[5]s/$everything?_count=5'

As a doctor who may not, then give access, see who looked, and stop it:
  %[1]s login --dir %[2]s --as dr-ben
  curl -s -H "Authorization: Bearer $(cat %[6]s)" '%[4]s/Patient/%[5]s'
  %[1]s grant give --dir %[2]s --as %[7]s --to dr-ben --read general --for 24h
  %[1]s access list --dir %[2]s --as %[7]s
  %[1]s grant list --dir %[2]s --as %[7]s

The patient's own record, from the keepers, with no gateway between:
  %[1]s record list --dir %[2]s --as %[7]s

A record of your own, in a browser with a passkey: open the link this prints.
  %[1]s invite --dir %[2]s --to dr-anna
Later: %[8]s/sign-in
`, a, dir, access, n.GatewayURL(), id, shellQuote(relative(n.People().AccessFile(benHandle))), p.Handle, n.PortalURL())
	return nil
}

// fhirID is the FHIR id of a patient, from the patient's own record.
func (e *env) fhirID(ctx context.Context, n *local.Network, handle string) (string, error) {
	d, err := e.device(handle)
	if err != nil {
		return "", err
	}
	defer d.hangUp()
	r, err := d.record(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range r.current() {
		if v.Type == "Patient" {
			return v.ID, nil
		}
	}
	return "", errors.New("a sample patient's record holds no Patient")
}

// self is this program as it was called, for commands to paste.
func self() string { return shellQuote(relative(os.Args[0])) }

// relative is a path as seen from here, where that is shorter.
func relative(path string) string {
	here, err := os.Getwd()
	if err != nil || !filepath.IsAbs(path) {
		return path
	}
	if short, err := filepath.Rel(here, path); err == nil && len(short) < len(path) {
		return short
	}
	return path
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/ledger"
)

func newDeviceCommand(e *env) *cobra.Command {
	return noun("device", "The devices that clinicians sit at", newDeviceEnrol(e), newDeviceVouch(e), newDeviceLost(e), newDeviceHeld(e))
}

func newDeviceEnrol(e *env) *cobra.Command {
	var as string
	var managers int
	var asJSON bool
	c := &cobra.Command{Use: "enrol", Short: "Give somebody another device", Args: cobra.NoArgs,
		Long: `Give somebody another device. As many managers as the clinic demands sign the
invitation by which it comes in.`,
		Example: "  abaton device enrol --for dr-anna",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			p, err := m.at.People().Find(as)
			if err != nil {
				return err
			}
			if p.Kind != actor.Clinician {
				return usage("%s is no clinician and sits at no device", p.Handle)
			}
			org := *m.Person
			if managers > 0 {
				org.Managers = org.Managers[:min(managers-1, len(org.Managers))]
			}
			began := time.Now()
			d, err := m.at.People().NewDevice(p.Handle+"-device", p.Name+"'s device", &org)
			if err != nil {
				return err
			}
			published, err := m.net.Publish(c.Context(), d.Event)
			if err != nil {
				return fmt.Errorf("enrol device: %w", err)
			}
			p.Device = d.ID
			if err := m.at.People().Amend(p); err != nil {
				return err
			}
			return e.sayDone(asJSON, "enrolled for "+p.Handle, d.Handle, d.ID, published[0], began)
		}}
	c.Flags().StringVar(&as, "for", "", "who sits at it")
	c.Flags().IntVar(&managers, "managers", 0, "how many managers sign (default: as many as the clinic demands)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("for")
	return c
}

// deviceNamed is a device, or the one somebody sits at.
func (m *employer) deviceNamed(ctx context.Context, who string) (*people.Person, error) {
	p, err := m.named(ctx, who)
	if err == nil && p.Kind == actor.Clinician && p.Device != (abaton.ActorID{}) {
		p, err = m.named(ctx, p.Device.String())
	}
	switch {
	case err != nil:
		return nil, err
	case p.Kind != actor.Device:
		return nil, usage("%s is no device and has none of the own here; name the device", p.Handle)
	case p.Sponsor != m.ID:
		return nil, usage("%s is no device of this clinic", p.Handle)
	}
	return p, nil
}

func newDeviceLost(e *env) *cobra.Command {
	var asJSON, preview bool
	c := &cobra.Command{Use: "lost DEVICE|WHO", Short: "Report a device lost: it is dead everywhere in seconds", Args: cobra.ExactArgs(1),
		Long: `Report a device lost. The help desk's key does it, which can do nothing else: who
calls needs no device. Keepers refuse every session at it from the moment they
hear; abaton device held lists what it can have shown.`,
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			d, err := m.deviceNamed(c.Context(), args[0])
			if err != nil {
				return err
			}
			return e.stop(c.Context(), m, stopOf(&target{p: d}), &stopping{yes: !preview, preview: preview, asJSON: asJSON, silent: true})
		}}
	c.Flags().BoolVar(&preview, "preview", false, "show what it breaks, and do nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// couldHold is what of one patient a device can have shown, from the ledgers.
type couldHold struct {
	Patient string   `json:"patient"`
	Who     []string `json:"who"` // who sat at it
	Records int      `json:"records"`
	First   int64    `json:"first"`
	Last    int64    `json:"last"`
	Verdict string   `json:"verdict"` // of the list it was taken from
	Names   []string `json:"names"`   // of the records
}

func newDeviceHeld(e *env) *cobra.Command {
	var as string
	var asJSON bool
	c := &cobra.Command{Use: "held DEVICE|WHO", Short: "What a device can have shown, patient by patient", Args: cobra.ExactArgs(1),
		Long: `What a device can have shown, patient by patient, from the keepers' ledgers: every
record that at least one keeper released to a session at it. Each patient's list
comes from that patient's own session; without --as, from those of all patients
whose devices this network plays.`,
		RunE: func(c *cobra.Command, args []string) error {
			m, err := e.employer()
			if err != nil {
				return err
			}
			defer m.hangUp()
			d, err := m.deviceNamed(c.Context(), args[0])
			if err != nil {
				return err
			}
			patients, err := m.at.People().All(actor.Patient)
			if as != "" {
				var one *people.Person
				one, err = m.at.People().Find(as)
				patients = []*people.Person{one}
			}
			if err != nil {
				return err
			}
			held := []couldHold{}
			for _, p := range patients {
				h, err := m.heldOf(c.Context(), p, d.ID)
				if err != nil {
					return err
				}
				if h.Records > 0 {
					held = append(held, h)
				}
			}
			if asJSON {
				return e.json(struct {
					V      int         `json:"v"`
					Device string      `json:"device"`
					Held   []couldHold `json:"held"`
				}{1, d.ID.String(), held})
			}
			return e.heldTable(d, held)
		}}
	c.Flags().StringVar(&as, "as", "", "one patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) heldTable(d *people.Person, held []couldHold) error {
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PATIENT\tRECORDS\tWHO SAT AT IT\tFIRST\tLAST\tLIST")
	for _, h := range held {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\n", h.Patient, h.Records, strings.Join(h.Who, ","),
			time.Unix(h.First, 0).Format(time.DateTime), time.Unix(h.Last, 0).Format(time.DateTime), h.Verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	e.say("%s can have shown something of %d patients.", d.Handle, len(held))
	return nil
}

// heldOf reads the patient's own list of who looked.
func (m *employer) heldOf(ctx context.Context, p *people.Person, device abaton.ActorID) (couldHold, error) {
	d, err := newDevice(m.at, p)
	if err != nil {
		return couldHold{}, err
	}
	defer d.hangUp()
	l, err := d.at.People().Direct(ctx, p, d.net)
	if err != nil {
		return couldHold{}, err
	}
	reader, err := d.net.NewReader(l)
	if err != nil {
		return couldHold{}, err
	}
	defer reader.Close()
	h, err := reader.History(ctx, p.ID)
	if err != nil {
		return couldHold{}, fmt.Errorf("read ledgers: %w", err)
	}
	known, err := names(m.at)
	if err != nil {
		return couldHold{}, err
	}
	return heldAt(h, device, p.Handle, known), nil
}

func heldAt(h *ledger.History, device abaton.ActorID, patient string, known map[abaton.ActorID]string) couldHold {
	out := couldHold{Patient: patient, Verdict: h.String()}
	for i := range h.Lines {
		l := &h.Lines[i]
		if l.Device != device {
			continue
		}
		for _, r := range l.Rows {
			for j := range abaton.BatchRecordsMax {
				if r.Released>>j&1 == 1 {
					out.Names = append(out.Names, abaton.RecordName{Batch: r.Batch, Index: uint16(j)}.String())
				}
			}
		}
		out.Who = append(out.Who, nameOf(known, l.Actor))
		if out.First == 0 {
			out.First = l.First
		}
		out.Last = max(out.Last, l.Last, l.Renewed)
	}
	slices.Sort(out.Names)
	slices.Sort(out.Who)
	out.Names, out.Who = slices.Compact(out.Names), slices.Compact(out.Who)
	out.Records = len(out.Names)
	return out
}

package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/local"
)

func newRegistrarCommand(e *env) *cobra.Command {
	return noun("registrar", "Who keeps the register of custody, incapacity and death",
		newRegistrarName(e), newRegistrarCut(e), newRegistrarState(e), newRegistrarUndo(e))
}

// words of what a registrar may say.
var saysWords = []struct {
	word string
	says actor.Says
}{{"cut", actor.SaysNarrow}, {"incapacity", actor.SaysIncapacity}, {"death", actor.SaysDeath}}

func wordsOf(may actor.Says) (words []string) {
	for _, w := range saysWords {
		if may&w.says != 0 {
			words = append(words, w.word)
		}
	}
	return words
}

func saysOf(text string) (may actor.Says, err error) {
	for word := range strings.SplitSeq(text, ",") {
		i := slices.IndexFunc(saysWords, func(w struct {
			word string
			says actor.Says
		}) bool {
			return w.word == strings.TrimSpace(word)
		})
		if i < 0 {
			return 0, usage("%q is nothing a registrar may say; there are: cut, incapacity, death", word)
		}
		may |= saysWords[i].says
	}
	return may, nil
}

func newRegistrarName(e *env) *cobra.Command {
	var as, may, with string
	var none, asJSON bool
	c := &cobra.Command{Use: "name REGISTRAR", Short: "Say which office may take access away by order, or state that you cannot decide or have died", Args: cobra.ExactArgs(1),
		Long: `Say which office may speak about what the patient cannot: take somebody's access
away by a court's order (cut), or state, together with a physician, that the
patient cannot decide (incapacity) or has died (death). It reads nothing. Name the
physicians, or the clinics whose physicians may sign, with --with. --none ends it.`,
		Example: "  abaton registrar name registry --as patient-8a4c9c04 --may incapacity,death --with clinic",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient", d.Handle)
			}
			office, err := d.at.People().Find(args[0])
			if err != nil {
				return err
			}
			if office.Kind != actor.Organisation {
				return usage("%s is no organisation", office.Handle)
			}
			body := &actor.Registrar{Registrar: office.ID}
			if !none {
				if body.May, err = saysOf(may); err != nil {
					return err
				}
				if body.With, err = d.cosigners(with, body.May); err != nil {
					return err
				}
			}
			began := time.Now()
			p, err := d.net.Append(c.Context(), d.Hand(), body)
			if err != nil {
				return err
			}
			did := "named for " + cmp.Or(strings.Join(wordsOf(body.May), ", "), "nothing any more")
			return e.sayDone(asJSON, did, office.Handle, office.ID, p, began)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&may, "may", "cut", "what, with commas: cut, incapacity, death")
	c.Flags().StringVar(&with, "with", "", "who states with it, with commas: physicians, or clinics whose physicians may")
	c.Flags().BoolVar(&none, "none", false, "nothing any more")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagsMutuallyExclusive("none", "may")
	return c
}

func (d *device) cosigners(with string, may actor.Says) (ids []abaton.ActorID, err error) {
	if states := may&^actor.SaysNarrow != 0; states != (with != "") {
		return nil, usage("who states a case does so with somebody: --with goes with incapacity and death, and only with them")
	}
	if with == "" {
		return nil, nil
	}
	for handle := range strings.SplitSeq(with, ",") {
		p, err := d.at.People().Find(strings.TrimSpace(handle))
		if err != nil {
			return nil, err
		}
		if p.Kind != actor.Clinician && p.Kind != actor.Organisation {
			return nil, usage("%s is neither a physician nor a clinic", p.Handle)
		}
		ids = append(ids, p.ID)
	}
	slices.SortFunc(ids, func(a, b abaton.ActorID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids), nil
}

// office is a registrar's desk: it writes into a patient's log.
type office struct {
	as, about string
	asJSON    bool
}

func (o *office) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.as, "as", local.RegistryHandle, "the registrar")
	c.Flags().StringVar(&o.about, "about", "", "the patient: a handle or act1...")
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("about")
}

// open is the registrar's device and whom it is about.
func (o *office) open(e *env) (*device, abaton.ActorID, error) {
	d, err := e.device(o.as)
	if err != nil {
		return nil, abaton.ActorID{}, err
	}
	if d.Kind != actor.Organisation {
		d.hangUp()
		return nil, abaton.ActorID{}, usage("%s is no organisation", d.Handle)
	}
	p, err := d.at.People().Find(o.about)
	if err != nil {
		d.hangUp()
		return nil, abaton.ActorID{}, err
	}
	return d, p.ID, nil
}

// handAbout signs in a patient's log with as many of the registrar's managers as it
// demands.
func (d *device) handAbout(patient abaton.ActorID) client.Hand {
	h := d.Hand()
	h.Actor = patient
	return h
}

func newRegistrarCut(e *env) *cobra.Command {
	var o office
	var life time.Duration
	c := &cobra.Command{Use: "cut WHO", Short: "By order: take all access of one person away, at once", Args: cobra.ExactArgs(1),
		Long: `Take all access of one person to a patient's record away: the accesses are taken
back for ever, and the person is barred for a time, a year at most, so that an
order is confirmed or ends. It takes one manager of the registrar and holds at
each keeper on receipt.`,
		Example: "  abaton registrar cut patient-085e81c0 --about patient-8a4c9c04 --for 4380h",
		RunE: func(c *cobra.Command, args []string) error {
			if life <= 0 || life > actor.CourtBarMax {
				return usage("--for is at most %v", actor.CourtBarMax)
			}
			d, patient, err := o.open(e)
			if err != nil {
				return err
			}
			defer d.hangUp()
			whom, err := d.at.People().Find(args[0])
			if err != nil {
				return err
			}
			began, hand := time.Now(), d.handAbout(patient)
			p, err := d.net.Append(c.Context(), hand, &actor.Bar{Actor: whom.ID, Until: began.Add(life).Unix()})
			if err != nil {
				return err
			}
			st, err := d.net.Log(c.Context(), patient)
			if err != nil {
				return err
			}
			for id, g := range st.Grants() {
				if g.Grantee != whom.ID {
					continue
				}
				if _, err := d.net.Revoke(c.Context(), hand, id, true); err != nil {
					return err
				}
			}
			return e.sayDone(o.asJSON, "cut off by order", whom.Handle, whom.ID, p, began)
		}}
	o.flags(c)
	c.Flags().DurationVar(&life, "for", 183*24*time.Hour, "until an order confirms it, a year at most")
	return c
}

func newRegistrarState(e *env) *cobra.Command {
	var o office
	var with string
	var life time.Duration
	c := &cobra.Command{Use: "state CASE", Short: "State, with a physician, that a patient cannot decide or has died", Args: cobra.ExactArgs(1),
		Long: `State that a patient cannot decide (incapacity) or has died (death). The registrar
and a physician both sign; both must be named in the patient's log. An incapacity
is stated for a trial of 92 days at most, then for a year at most. A death freezes
everything else that was given, at each keeper on receipt.`,
		Example: "  abaton registrar state incapacity --about patient-8a4c9c04 --with dr-ben --for 720h\n  abaton registrar state death --about patient-8a4c9c04 --with dr-ben",
		RunE: func(c *cobra.Command, args []string) error {
			in, err := caseOf(args[0])
			if err != nil {
				return err
			}
			if life <= 0 || life > actor.FindingLifeMax {
				return usage("--for is at most %v", actor.FindingLifeMax)
			}
			d, patient, err := o.open(e)
			if err != nil {
				return err
			}
			defer d.hangUp()
			physician, err := d.at.People().Find(with)
			if err != nil {
				return err
			}
			began := time.Now()
			body := &actor.Finding{Case: in, Registrar: d.ID, Physician: physician.ID, House: physician.Sponsor}
			if in == grant.Incapacity {
				body.Until = began.Add(life).Unix()
			}
			rand.Read(body.Nonce[:])
			p, err := d.net.Append(c.Context(), client.Together(d.handAbout(patient), client.KeyHand(patient, physician.Manage)), body)
			if err != nil {
				return err
			}
			if err := d.awaitStated(c.Context(), patient, p.Event); err != nil {
				return err
			}
			return e.sayDone(o.asJSON, "stated: "+in.String(), o.about, patient, p, began)
		}}
	o.flags(c)
	c.Flags().StringVar(&with, "with", "", "the physician who signs too")
	c.Flags().DurationVar(&life, "for", 30*24*time.Hour, "of an incapacity: until its review")
	c.MarkFlagRequired("with")
	return c
}

// statedMax is how long a command waits for a finding's certificate, and
// statedPause how often it looks.
const (
	statedMax   = 30 * time.Second
	statedPause = 50 * time.Millisecond
)

// awaitStated waits until a finding is certified: before that it opens nothing.
func (d *device) awaitStated(ctx context.Context, patient abaton.ActorID, event actor.Hash) error {
	ctx, cancel := context.WithTimeout(ctx, statedMax)
	defer cancel()
	for {
		d.net.Refresh(patient)
		st, err := d.net.Log(ctx, patient)
		if err != nil {
			return err
		}
		if st.IsCertified(event) {
			return nil
		}
		select {
		case <-time.After(statedPause):
		case <-ctx.Done():
			return fmt.Errorf("stated, and not yet certified; state it again: %w", abaton.ErrPending)
		}
	}
}

func newRegistrarUndo(e *env) *cobra.Command {
	var o office
	c := &cobra.Command{Use: "undo", Short: "Take back what this registrar stated about a patient", Args: cobra.NoArgs,
		Long: `Take back what this registrar stated about a patient: registers correct their
mistakes. What was stated by another registrar stays.`,
		Example: "  abaton registrar undo --about patient-8a4c9c04",
		RunE: func(c *cobra.Command, _ []string) error {
			d, patient, err := o.open(e)
			if err != nil {
				return err
			}
			defer d.hangUp()
			return e.takeBack(c.Context(), d, patient, d.handAbout(patient), o.asJSON)
		}}
	o.flags(c)
	return c
}

// takeBack vetoes the findings about a patient that stand: all of them for the
// patient, a registrar's own for a registrar.
func (e *env) takeBack(ctx context.Context, d *device, patient abaton.ActorID, hand client.Hand, asJSON bool) error {
	d.net.Refresh(patient)
	st, err := d.net.Log(ctx, patient)
	if err != nil {
		return err
	}
	ended := 0
	for _, f := range st.Findings(time.Now()) {
		if f.Ended || d.ID != patient && f.Finding.Registrar != d.ID {
			continue
		}
		began := time.Now()
		p, err := d.net.Append(ctx, hand, &actor.Veto{Recover: f.Event})
		if err != nil {
			return err
		}
		ended++
		if err := e.sayDone(asJSON, "ended: "+f.Finding.Case.String(), d.Handle, patient, p, began); err != nil {
			return err
		}
	}
	if ended == 0 {
		return fmt.Errorf("nothing that stands was stated: %w", abaton.ErrNotFound)
	}
	return nil
}

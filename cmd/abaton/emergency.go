package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/session"
)

func newEmergencyCommand(e *env) *cobra.Command {
	return noun("emergency", "What opens when a patient cannot speak, and who opened it",
		newEmergencyOpen(e), newEmergencyWiden(e), newEmergencyConfirm(e), newEmergencyList(e), newEmergencyPrepare(e), newEmergencyCard(e))
}

// reasons are the words on the screen, and what they stand for.
var reasons = []struct {
	word string
	why  session.Urgency
}{{"unconscious", session.CannotSpeak}, {"life", session.LifeInDanger}, {"others", session.OtherInDanger}}

// whyOf reads --reason: one of the short words, or a sentence.
func whyOf(text string) (session.Urgency, string, error) {
	for _, r := range reasons {
		if text == r.word || text == r.why.String() {
			return r.why, "", nil
		}
	}
	if len(strings.Fields(text)) < session.WordsMin {
		return 0, "", usage("--reason is unconscious, life, others, or %d words and more of your own; the patient reads them", session.WordsMin)
	}
	return session.InWords, text, nil
}

// subject is a patient by handle or name, whether or not the device is here.
func subject(n *local.Network, who string) (abaton.ActorID, string, error) {
	if id, err := abaton.ParseActorID(who); err == nil {
		return id, short(who), nil
	}
	card, err := n.People().Card(who)
	if err == nil && card.Kind != actor.Patient {
		err = usage("%s is no patient", who)
	}
	return card.ID, who, err
}

// bedside are the flags of open and widen.
type bedside struct {
	as, patient, reason, device, second string
	sole, asJSON                        bool
}

func (b *bedside) flags(c *cobra.Command) {
	c.Flags().StringVar(&b.as, "as", "", "the clinician, in the role emergency")
	c.Flags().StringVar(&b.patient, "patient", "", "a handle or act1...")
	c.Flags().StringVar(&b.reason, "reason", "", "unconscious, life, others, or ten words of your own, which only the patient reads")
	c.Flags().StringVar(&b.device, "device", "", "where the clinician sits (default: the own device)")
	c.Flags().BoolVar(&b.sole, "sole", false, "no other clinician is there: a bar of the patient's does not hold, and the ledgers say so")
	c.Flags().BoolVar(&b.asJSON, "json", false, "print JSON")
	for _, name := range []string{"as", "patient", "reason"} {
		c.MarkFlagRequired(name)
	}
}

func newEmergencyOpen(e *env) *cobra.Command {
	var b bedside
	c := &cobra.Command{Use: "open", Short: "Open a patient's emergency set for four hours", Args: cobra.NoArgs,
		Long: `Open a patient's emergency set: allergies, medicines, problems, implants, contacts,
wishes. It takes a clinician in the role emergency, known to the keepers for a day,
at an enrolled device, a touch of the passkey and a reason; three keepers that each
ledger it, and one of the patient's authorities. Patient, helpers and the security
office see it at once. Another clinician confirms it within 24 hours.`,
		Example: "  abaton emergency open --as dr-eda --patient patient-8a4c9c04 --reason unconscious",
		RunE:    func(c *cobra.Command, _ []string) error { return e.openEmergency(c.Context(), &b, false) }}
	b.flags(c)
	c.Flags().StringVar(&b.second, "second", "", "another clinician who agrees now: nothing is left to confirm")
	return c
}

func newEmergencyWiden(e *env) *cobra.Command {
	var b bedside
	c := &cobra.Command{Use: "widen", Short: "Open more than the emergency set: another clinician agrees first", Args: cobra.NoArgs,
		Example: "  abaton emergency widen --as dr-eda --second dr-ben --patient patient-8a4c9c04 --reason life",
		RunE:    func(c *cobra.Command, _ []string) error { return e.openEmergency(c.Context(), &b, true) }}
	b.flags(c)
	c.Flags().StringVar(&b.second, "second", "", "the clinician who agrees, with an own touch")
	c.MarkFlagRequired("second")
	return c
}

// openEmergency opens a set and shows it.
func (e *env) openEmergency(ctx context.Context, b *bedside, wide bool) error {
	u := people.Urgent{Sole: b.sole, Wide: wide}
	var err error
	if u.Why, u.Words, err = whyOf(b.reason); err != nil {
		return err
	}
	d, err := e.device(b.as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	if d.Kind != actor.Clinician {
		return usage("%s is no clinician", d.Handle)
	}
	var handle string
	if u.Patient, handle, err = subject(d.at, b.patient); err != nil {
		return err
	}
	if b.device != "" {
		at, err := d.at.People().Find(b.device)
		if err != nil {
			return err
		}
		d.Device = at.ID
	}
	if b.second != "" {
		if u.Second, err = d.at.People().Find(b.second); err != nil {
			return err
		}
	}
	lenders, closeAll, err := d.at.Lenders()
	if err != nil {
		return err
	}
	defer closeAll()
	began := time.Now()
	got, err := d.at.People().OpenEmergency(ctx, d.net, d.Person, u, lenders)
	if err != nil {
		return err
	}
	s, err := newEmergencyScreen(got, handle, wide)
	if err != nil {
		return err
	}
	s.Seconds = fmt.Sprintf("%.3f", time.Since(began).Seconds())
	s.Confirmed = b.second != ""
	if b.asJSON {
		return e.json(s)
	}
	e.showEmergency(s, d.Handle)
	return nil
}

func newEmergencyConfirm(e *env) *cobra.Command {
	var as, opener string
	var wrong, asJSON bool
	c := &cobra.Command{Use: "confirm OPENING", Short: "Say as another clinician that an opening was right, or was not", Args: cobra.ExactArgs(1),
		Long: `Say as another clinician that an emergency opening was right, or was not. Without
a word the opener opens nothing more after 24 hours; one that was wrong ends the
opening and the opener's right at once. The last word stands, but a security
officer's "wrong" against any clinician's.`,
		Example: "  abaton emergency confirm 5f3c... --as dr-ben --opener dr-eda",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			who, err := d.at.People().Find(opener)
			if err != nil {
				return err
			}
			began := time.Now()
			o, err := openingOf(c.Context(), d.at, who, args[0])
			if err != nil {
				return err
			}
			say := session.Approval{Patient: o.Patient, Escrow: o.Escrow, Opener: o.Opener, Opening: o.Request, Verdict: session.Right}
			if wrong {
				say.Verdict = session.Wrong
			}
			if err := d.at.People().Judge(c.Context(), d.net, d.Person, say); err != nil {
				return err
			}
			did := verdictWord(uint8(say.Verdict))
			if asJSON {
				return e.json(map[string]any{"v": 1, "opening": hex.EncodeToString(o.Request[:]), "opener": who.Handle, "by": d.Handle, "verdict": did,
					"seconds": fmt.Sprintf("%.3f", time.Since(began).Seconds())})
			}
			e.say("%s says of what %s opened: %s.", d.Handle, who.Handle, did)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the other clinician")
	c.Flags().StringVar(&opener, "opener", "", "who opened")
	c.Flags().BoolVar(&wrong, "wrong", false, "it was not right: the opener opens nothing more")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("opener")
	return c
}

// openingOf finds an opening by the beginning of its name, as the opener's
// device remembers it.
func openingOf(ctx context.Context, n *local.Network, opener *people.Person, name string) (*client.Opening, error) {
	d, err := newDevice(n, opener)
	if err != nil {
		return nil, err
	}
	defer d.hangUp()
	all, err := d.net.Openings(ctx, opener.ID)
	if err != nil {
		return nil, err
	}
	found := slices.DeleteFunc(all, func(o client.Opening) bool { return !strings.HasPrefix(hex.EncodeToString(o.Request[:]), name) })
	if len(found) != 1 || len(name) < 8 {
		return nil, fmt.Errorf("opening %q of %s: %w", name, opener.Handle, abaton.ErrNotFound)
	}
	return &found[0], nil
}

func verdictWord(v uint8) string {
	switch session.Verdict(v) {
	case session.Right:
		return "right"
	case session.Wrong:
		return "wrong"
	}
	return "owed"
}

// listedOpening is one line of emergency list.
type listedOpening struct {
	Opening  string `json:"opening"`
	Patient  string `json:"patient"`
	Opener   string `json:"opener"`
	Device   string `json:"device"`
	Time     int64  `json:"time"`
	Reason   string `json:"reason"`
	Loud     bool   `json:"loud,omitempty"`
	Verdict  string `json:"verdict"` // right, wrong, owed, overdue
	Second   string `json:"second,omitempty"`
	Keepers  int    `json:"keepers"` // that tell of it
	Escrow   string `json:"escrow"`
	Owed     int64  `json:"owedUntil,omitempty"` // unix seconds
	Released bool   `json:"released"`            // enough keepers for the set to have opened
}

func newEmergencyList(e *env) *cobra.Command {
	var as, of string
	var asJSON bool
	c := &cobra.Command{Use: "list", Short: "What was opened in emergencies: for patients, their helpers, the security office", Args: cobra.NoArgs,
		Long: `What was opened in emergencies, as the keepers remember it. A patient sees what was
opened of the own record, and a helper what was opened of the patient's (--of); the
security officer and the managers what the clinic's people opened; clinicians what
they opened themselves. What the ledgers say of it: abaton access list.`,
		Example: "  abaton emergency list --as patient-8a4c9c04\n  abaton emergency list --as officer",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			ids, err := d.emergencySubjects(c.Context(), of)
			if err != nil {
				return err
			}
			var all []client.Opening
			if len(ids) > 0 {
				if all, err = d.net.Openings(c.Context(), ids...); err != nil {
					return err
				}
			}
			known, err := cardNames(d.at)
			if err != nil {
				return err
			}
			return e.listOpenings(listedOpenings(all, int(d.net.Set().T), known, time.Now()), asJSON)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient, a helper, the clinic, its security officer, a clinician")
	c.Flags().StringVar(&of, "of", "", "one patient, or one clinician")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// emergencySubjects are whom a list is about: --of, the own record, or
// everybody the organisation ever took on.
func (d *device) emergencySubjects(ctx context.Context, of string) ([]abaton.ActorID, error) {
	if of != "" {
		card, err := d.at.People().Card(of)
		return []abaton.ActorID{card.ID}, err
	}
	org := d.ID
	switch {
	case d.Kind == actor.Clinician && slices.Contains(d.Roles, abaton.RoleSecurityOfficer):
		org = d.Sponsor
	case d.Kind != actor.Organisation:
		return []abaton.ActorID{d.ID}, nil
	}
	d.net.Refresh(org)
	log, err := d.net.Log(ctx, org)
	if err != nil {
		return nil, err
	}
	var ids []abaton.ActorID
	for _, m := range log.Members() {
		if !slices.Contains(ids, m.Actor) {
			ids = append(ids, m.Actor)
		}
	}
	return ids, nil
}

func listedOpenings(all []client.Opening, threshold int, known map[abaton.ActorID]string, now time.Time) []listedOpening {
	list := []listedOpening{}
	for _, o := range all {
		l := listedOpening{Opening: hex.EncodeToString(o.Request[:]), Patient: nameOf(known, o.Patient), Opener: nameOf(known, o.Opener),
			Device: nameOf(known, o.Device), Time: int64(o.Time), Reason: session.Urgency(o.Urgency).String(), Loud: o.Loud,
			Verdict: verdictWord(o.Verdict), Keepers: len(o.Keepers), Escrow: o.Escrow.String(), Released: len(o.Keepers) >= threshold}
		if o.Second != (abaton.ActorID{}) {
			l.Second = nameOf(known, o.Second)
		}
		if o.Verdict == 0 {
			until := time.Unix(int64(o.Time), 0).Add(abaton.EmergencyConfirm)
			l.Owed = until.Unix()
			if !now.Before(until) {
				l.Verdict = "overdue"
			}
		}
		list = append(list, l)
	}
	return list
}

func (e *env) listOpenings(list []listedOpening, asJSON bool) error {
	if asJSON {
		return e.json(struct {
			V        int             `json:"v"`
			Openings []listedOpening `json:"openings"`
		}{1, list})
	}
	t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHEN\tPATIENT\tOPENED BY\tAT\tWHY\tVERDICT\tBY\tKEEPERS\tOPENING")
	owed := 0
	for _, l := range list {
		why := l.Reason
		if l.Loud {
			why += ", AGAINST A BAR"
		}
		if l.Owed != 0 {
			owed++
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", time.Unix(l.Time, 0).Format(time.DateTime), l.Patient, l.Opener, l.Device, why, l.Verdict, l.Second, l.Keepers, short(l.Opening))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	e.say("%d openings, %d without another clinician's word.", len(list), owed)
	return nil
}

// cardNames are the handles of everybody known here, also of those whose keys
// are not.
func cardNames(n *local.Network) (map[abaton.ActorID]string, error) {
	cards, err := n.People().Cards()
	if err != nil {
		return nil, err
	}
	known := make(map[abaton.ActorID]string, len(cards))
	for _, c := range cards {
		known[c.ID] = c.Handle
	}
	return known, nil
}

func newEmergencyPrepare(e *env) *cobra.Command {
	var as, parts string
	var asJSON bool
	c := &cobra.Command{Use: "prepare", Short: "As a patient, say what two clinicians together may open besides the emergency set", Args: cobra.NoArgs,
		Long: `As a patient, make the emergency set anew, or, with --wide, say which further parts
of the record two clinicians together may open. What was said before ends.`,
		Example: "  abaton emergency prepare --as patient-8a4c9c04 --wide general,imaging",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient", d.Handle)
			}
			clinicians, text, did := people.SmallSet, "emergency", "made the emergency set anew"
			if parts != "" {
				clinicians, text, did = people.WideSet, parts, "lets two clinicians open "+parts+" in an emergency"
			}
			categories, err := categoriesOf(text)
			if err != nil {
				return err
			}
			began := time.Now()
			p, err := d.at.People().Prepare(c.Context(), d.net, d.Person, clinicians, categories...)
			if err != nil {
				return err
			}
			return e.sayDone(asJSON, did, d.Handle, d.ID, p, began)
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&parts, "wide", "", "parts of the record, with commas: "+categoryNames())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}

// burn is what a patient's device does when it signs in: emergency sets that
// were opened since get new keys and locks.
func (e *env) burn(ctx context.Context, d *device) error {
	bar := newProgress(e, 0)
	count, err := d.at.People().BurnOpened(ctx, d.net, d.Person, func(at client.Relocked) { bar.relocked(at) })
	bar.end()
	if count > 0 {
		e.say("Your emergency set was opened. It has a new key now, and what was read with the old one opens nothing more. See: abaton emergency list --as %s", d.Handle)
	}
	if errors.Is(err, abaton.ErrPending) || errors.Is(err, abaton.ErrUnavailable) {
		e.say("Your emergency set was opened and could not be locked anew yet; the next sign-in goes on with it.")
		return nil
	}
	return err
}

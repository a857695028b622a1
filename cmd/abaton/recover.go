package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/people"
)

func newRecoverCommand(e *env) *cobra.Command {
	return noun("recover", "Ways back in for a patient who has lost every device", newRecoverStatus(e), newRecoverKit(e), newRecoverTrustees(e),
		newRecoverStart(e), newRecoverHelp(e), newRecoverVeto(e), newRecoverFinish(e))
}

// portal is a way to the keepers for somebody without a device: the clinic's
// own key asks for key logs, and can do nothing else for the person.
type portal struct {
	at     *local.Network
	net    *client.Network
	hangUp func()
}

func (e *env) portal() (*portal, error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	org, err := n.Organisation()
	if err != nil {
		return nil, err
	}
	net, hangUp, err := n.Client(org.Manage)
	if err != nil {
		return nil, err
	}
	return &portal{at: n, net: net, hangUp: hangUp}, nil
}

// recoveryStatus is recover status --json.
type recoveryStatus struct {
	V          int            `json:"v"`
	Person     string         `json:"person"`
	Record     string         `json:"record"`
	Ways       []string       `json:"ways"`
	Enough     bool           `json:"enough"`
	Wait       int64          `json:"waitSeconds"`
	Recoveries []recoveryLine `json:"recoveries"`
}

type recoveryLine struct {
	Event   string `json:"event"`
	By      string `json:"by"`
	Begun   int64  `json:"begun"`
	Wait    int64  `json:"waitSeconds"`
	Stopped bool   `json:"stopped"`
	Done    bool   `json:"done"`
}

func newRecoverStatus(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "status PERSON", Short: "Which ways back in there are, and whether somebody is on one", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			p, err := e.portal()
			if err != nil {
				return err
			}
			defer p.hangUp()
			card, err := p.at.People().Card(args[0])
			if err != nil {
				return err
			}
			p.net.Refresh(card.ID)
			st, err := p.net.Log(c.Context(), card.ID)
			if err != nil {
				return err
			}
			s := statusOf(card, st, p.net.Set().RecoveryWait())
			if asJSON {
				return e.json(s)
			}
			e.tellStatus(s)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func statusOf(card people.Card, st *actor.State, wait time.Duration) recoveryStatus {
	w := st.Ways()
	s := recoveryStatus{V: 1, Person: card.Handle, Record: card.ID.String(), Ways: []string{}, Enough: w.Enough(),
		Wait: int64(wait / time.Second), Recoveries: []recoveryLine{}}
	for _, way := range []struct {
		has  bool
		word string
	}{{w.Synced, "phone"}, {w.Bound, "device"}, {w.Kit, "kit"}, {w.Trustees, "helpers"}, {w.Custody, "care team"}} {
		if way.has {
			s.Ways = append(s.Ways, way.word)
		}
	}
	for _, r := range st.Recoveries() {
		by := "kit"
		if r.Kind == actor.EscrowTrustees {
			by = "helpers"
		}
		s.Recoveries = append(s.Recoveries, recoveryLine{Event: fmt.Sprintf("%x", r.Event), By: by, Begun: r.Begun.Unix(),
			Wait: int64(max(r.Wait, wait) / time.Second), Stopped: r.Stopped, Done: r.Done})
	}
	return s
}

// tellStatus says it in the words of the screens.
func (e *env) tellStatus(s recoveryStatus) {
	switch {
	case s.Enough:
		e.print("You can get back in, in %d ways: %s. Good.\n", len(s.Ways), strings.Join(s.Ways, ", "))
	case len(s.Ways) == 1:
		e.print("Only this %s opens your record. If you lose it, your record is lost for ever. We cannot open it for you. Make a kit now (5 minutes).\n", s.Ways[0])
	default:
		e.print("Nothing opens this record.\n")
	}
	for _, r := range s.Recoveries {
		began := time.Unix(r.Begun, 0).Format(time.DateTime)
		switch {
		case r.Done:
			e.print("Somebody came back in with the %s; it was begun %s.\n", r.By, began)
		case r.Stopped:
			e.print("Somebody asked to come back in with the %s (%s). It was stopped.\n", r.By, began)
		default:
			e.print("Somebody asks to come back in with the %s since %s. It opens %v after the keepers heard of it. If it is not you: abaton recover veto %s\n",
				r.By, began, time.Duration(r.Wait)*time.Second, s.Person)
		}
	}
}

// madeKit is recover kit --json.
type madeKit struct {
	V      int      `json:"v"`
	Person string   `json:"person"`
	Record string   `json:"record"`
	Words  []string `json:"words"`
	Wait   int64    `json:"waitSeconds"`
	At     int      `json:"keepers"`
}

func newRecoverKit(e *env) *cobra.Command {
	var asJSON bool
	var language, page string
	c := &cobra.Command{Use: "kit PERSON", Short: "Make a paper kit; kits made before stop working", Args: cobra.ExactArgs(1),
		Example: "  abaton recover kit patient-8a4c9c04 --page kit.html",
		RunE: func(c *cobra.Command, args []string) error {
			l := escrow.Language(language)
			if !l.Valid() {
				return usage("--language is one of: en, nl")
			}
			d, err := e.device(args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			wait := d.net.Set().RecoveryWait()
			printed := func(code escrow.Code) error {
				if page != "" {
					if err := e.writePage(page, d.Person, code, l, wait); err != nil {
						return err
					}
				}
				if asJSON {
					return nil
				}
				return e.provePrinted(code.Words(l), page)
			}
			code, p, err := d.at.People().NewKit(c.Context(), d.net, d.Person, printed)
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(madeKit{V: 1, Person: d.Handle, Record: d.ID.String(), Words: code.Words(l), Wait: int64(wait / time.Second), At: p.At})
			}
			e.say("Your kit works: %d of %d keepers know it. Keep it where you keep your passport. Do not photograph it.", p.At, p.Of)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, and do not ask whether it is on paper")
	c.Flags().StringVar(&language, "language", "en", "of the words: en, nl")
	c.Flags().StringVar(&page, "page", "", "also write an A4 page to print (HTML)")
	return c
}

// provePrinted asks for words 3 and 6: a kit that is not on paper does not count.
func (e *env) provePrinted(words []string, page string) error {
	if page == "" {
		for i, w := range words {
			e.print("%2d  %s\n", i+1, w)
		}
	}
	e.say("Type words 3 and 6 to prove it is on paper:")
	var third, sixth string
	if _, err := fmt.Fscan(e.stdin, &third, &sixth); err != nil || !escrow.SameWords([]string{words[2], words[5]}, []string{third, sixth}) {
		return errors.New("these are not words 3 and 6. The kit was not made; the old one still works")
	}
	return nil
}

func newRecoverTrustees(e *env) *cobra.Command {
	var need int
	c := &cobra.Command{Use: "helpers PERSON HELPER HELPER HELPER", Short: "Choose the people who can help you back in together", Args: cobra.RangeArgs(3, 1+actor.HoldersMax),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			var chosen []*people.Person
			for _, handle := range args[1:] {
				h, err := d.at.People().Find(handle)
				if err != nil {
					return err
				}
				if h.ID == d.ID || h.Box == nil {
					return usage("%s cannot be a helper of %s", h.Handle, d.Handle)
				}
				chosen = append(chosen, h)
			}
			if need < 2 || need > len(chosen) {
				return usage("--need is at least 2 and at most the number of helpers")
			}
			p, err := d.at.People().Choose(c.Context(), d.net, d.Person, need, chosen...)
			if err != nil {
				return err
			}
			e.say("Any %d of these %d together can help you back in. One alone can do nothing. None of them can read your record. In force at %d of %d keepers.",
				need, len(chosen), p.At, p.Of)
			return nil
		}}
	c.Flags().IntVar(&need, "need", 2, "how many of them it takes")
	return c
}

// finishedReturn is recover finish --json.
type finishedReturn struct {
	V        int      `json:"v"`
	Person   string   `json:"person"`
	Cut      int      `json:"cut"`     // old passkeys and keys
	Liars    []int    `json:"liars"`   // keepers that gave another share
	Trustees []string `json:"helpers"` // whose part was another
	Words    []string `json:"words,omitempty"`
}

func newRecoverFinish(e *env) *cobra.Command {
	var asJSON bool
	var language string
	c := &cobra.Command{Use: "finish PERSON", Short: "Come back in, once the wait is over", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			l := escrow.Language(language)
			if !l.Valid() {
				return usage("--language is one of: en, nl")
			}
			p, err := e.portal()
			if err != nil {
				return err
			}
			defer p.hangUp()
			r, err := p.at.People().Returning(args[0])
			if err != nil {
				return err
			}
			back, err := p.at.People().Finish(c.Context(), p.net, r)
			if err != nil {
				return p.unfinished(back, err)
			}
			out := p.finished(back, l)
			if asJSON {
				return e.json(out)
			}
			e.tellFinished(out)
			return nil
		}}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&language, "language", "en", "of the new kit's words: en, nl")
	return c
}

// unfinished says in a sentence why not, and who was at fault.
func (p *portal) unfinished(back *people.Back, err error) error {
	refused, _ := errors.AsType[*abaton.RefusedError](err)
	switch {
	case refused != nil && refused.Reason == abaton.ReasonWait:
		return fmt.Errorf("it is too early: %w", err)
	case refused != nil && refused.Reason == abaton.ReasonVetoed:
		return fmt.Errorf("somebody with a living device stopped this: %w", err)
	case back != nil && len(back.Liars)+len(back.Trustees) > 0:
		return fmt.Errorf("keepers %v and %d helpers gave something else than they were given: %w", back.Liars, len(back.Trustees), err)
	}
	return err
}

func (p *portal) finished(back *people.Back, l escrow.Language) finishedReturn {
	out := finishedReturn{V: 1, Person: back.Handle, Cut: back.Cut, Liars: []int{}, Trustees: []string{}}
	for _, x := range back.Liars {
		out.Liars = append(out.Liars, int(x))
	}
	known, err := names(p.at)
	if err != nil {
		known = nil // the short names will do
	}
	for _, id := range back.Trustees {
		out.Trustees = append(out.Trustees, nameOf(known, id))
	}
	slices.Sort(out.Trustees)
	if back.Kit != (escrow.Code{}) {
		out.Words = back.Kit.Words(l)
	}
	return out
}

func (e *env) tellFinished(out finishedReturn) {
	e.say("You are back in. %d old passkeys and keys are cut off. Your record is whole.", out.Cut)
	for _, x := range out.Liars {
		e.say("Keeper %d gave a share that is not the one it was given. It was not used.", x)
	}
	for _, h := range out.Trustees {
		e.say("The part of %s is not the one that was given. It was not used.", h)
	}
	if len(out.Words) > 0 {
		e.say("The kit you used no longer works. Write down your new one:")
		for i, w := range out.Words {
			e.print("%2d  %s\n", i+1, w)
		}
	}
}

// writePage writes a kit's page to print, readable by its owner only.
func (e *env) writePage(file string, p *people.Person, code escrow.Code, l escrow.Language, wait time.Duration) error {
	text, err := kitPage(p.Name, p.ID, code, l, wait)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	e.say("Print %s and delete it.", filepath.Base(file))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/escrow"
	"github.com/abaton-health/abaton/internal/people"
)

// startedReturn is recover start --json.
type startedReturn struct {
	V      int      `json:"v"`
	Person string   `json:"person"`
	By     string   `json:"by"`
	Event  string   `json:"event"`
	Words  []string `json:"words,omitempty"` // to be compared with helpers
	At     int      `json:"keepers"`         // that have heard of it; 0 until enough helpers have helped
	Wait   int64    `json:"waitSeconds"`
}

func newRecoverStart(e *env) *cobra.Command {
	var kit, language string
	var helpers, asJSON bool
	c := &cobra.Command{Use: "start PERSON", Short: "Begin to come back in without any device", Args: cobra.ExactArgs(1),
		Example: "  abaton recover start patient-8a4c9c04 --kit words.txt\n  abaton recover start patient-8a4c9c04 --helpers",
		RunE: func(c *cobra.Command, args []string) error {
			if (kit == "") == !helpers {
				return usage("come back with --kit FILE or with --helpers")
			}
			l := escrow.Language(language)
			if !l.Valid() {
				return usage("--language is one of: en, nl")
			}
			p, err := e.portal()
			if err != nil {
				return err
			}
			defer p.hangUp()
			var s startedReturn
			if helpers {
				s, err = p.startWithTrustees(c.Context(), args[0], l)
			} else {
				s, err = e.startWithKit(c.Context(), p, args[0], kit)
			}
			if err != nil {
				return err
			}
			if asJSON {
				return e.json(s)
			}
			e.tellStarted(s)
			return nil
		}}
	c.Flags().StringVar(&kit, "kit", "", "a file with the twelve words, or - to type them")
	c.Flags().BoolVar(&helpers, "helpers", false, "come back with the help of your helpers")
	c.Flags().StringVar(&language, "language", "en", "of the words to compare: en, nl")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (e *env) startWithKit(ctx context.Context, p *portal, handle, file string) (s startedReturn, err error) {
	text, err := e.wordsFrom(file)
	if err != nil {
		return s, err
	}
	code, err := escrow.ParseWords(strings.Fields(text))
	if err != nil {
		return s, err
	}
	r, published, err := p.at.People().BeginWithKit(ctx, p.net, handle, code)
	if err != nil {
		return s, err
	}
	return startedReturn{V: 1, Person: handle, By: "kit", Event: fmt.Sprintf("%x", r.Hash()), At: published.At,
		Wait: int64(p.net.Set().RecoveryWait() / time.Second)}, nil
}

func (e *env) wordsFrom(file string) (string, error) {
	if file != "-" {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read kit: %w", err)
		}
		return string(text), nil
	}
	e.say("Type the twelve words of your kit:")
	words := make([]string, escrow.CodeWords)
	for i := range words {
		if _, err := fmt.Fscan(e.stdin, &words[i]); err != nil {
			return "", escrow.ErrWords
		}
	}
	return strings.Join(words, " "), nil
}

func (p *portal) startWithTrustees(ctx context.Context, handle string, l escrow.Language) (s startedReturn, err error) {
	r, err := p.at.People().Ask(ctx, p.net, handle)
	if err != nil {
		return s, err
	}
	return startedReturn{V: 1, Person: handle, By: "helpers", Event: fmt.Sprintf("%x", r.Hash()), Words: r.Words(l),
		Wait: int64(p.net.Set().RecoveryWait() / time.Second)}, nil
}

func (e *env) tellStarted(s startedReturn) {
	wait := time.Duration(s.Wait) * time.Second
	if s.By == "kit" {
		e.say("%d keepers have heard. It opens after %v. Every device that is still alive is told at once and can stop it.", s.At, wait)
		e.say("Then: abaton recover finish %s", s.Person)
		return
	}
	e.say("Call your helpers. Read them these words, and only by voice:")
	e.print("%s\n", strings.Join(s.Words, " "))
	e.say("Each of them runs: abaton recover help %s --as HELPER --heard \"...\"", s.Person)
	e.say("When enough have helped, it opens after %v.", wait)
}

func newRecoverHelp(e *env) *cobra.Command {
	var as, heard string
	c := &cobra.Command{Use: "help PERSON", Short: "Help somebody back in, as one of the helpers", Args: cobra.ExactArgs(1),
		Long: "Help somebody back in, as one of the helpers. Call the person first. Do not trust a message.\nAsk: what do you see on your screen? Type what you hear after --heard.",
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			r, err := d.at.People().Returning(args[0])
			if err != nil {
				return err
			}
			a, err := d.Help(c.Context(), d.net, r.Event, strings.Fields(heard))
			if errors.Is(err, people.ErrWords) {
				return fmt.Errorf("%w. Something is wrong: somebody else may be asking. Nothing was given", err)
			}
			if err != nil {
				return err
			}
			enough, err := d.at.People().Take(c.Context(), d.net, r, a)
			if err != nil {
				return err
			}
			if !enough {
				e.say("You helped. One more helper is needed: one alone can do nothing.")
				return nil
			}
			p, err := d.at.People().Tell(c.Context(), d.net, r)
			if err != nil {
				return err
			}
			e.say("You helped. %d keepers have heard; it opens after %v. Every device that is still alive can stop it.", p.At, d.net.Set().RecoveryWait())
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the helper")
	c.Flags().StringVar(&heard, "heard", "", "the words that the person reads to you")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("heard")
	return c
}

func newRecoverVeto(e *env) *cobra.Command {
	return &cobra.Command{Use: "veto PERSON", Short: "Stop, from a device that is still yours, whoever tries to come in as you", Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := e.device(args[0])
			if err != nil {
				return err
			}
			defer d.hangUp()
			n, err := d.Veto(c.Context(), d.net)
			if err != nil {
				return err
			}
			if n == 0 {
				e.say("Nobody is trying to come in.")
				return nil
			}
			e.say("Stopped for ever: %d. If your kit is not where you left it, make a new one: abaton recover kit %s", n, args[0])
			return nil
		}}
}

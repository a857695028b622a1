package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

func newGrantCommand(e *env) *cobra.Command {
	return noun("grant", "What a patient lets others do", newGrantGive(e), newGrantStop(e), newGrantList(e), newGrantRequests(e), newGrantBar(e),
		newGrantOnward(e), newGrantHeld(e), newGrantRefuse(e))
}

func newGrantGive(e *env) *cobra.Command {
	var as, to, read, purpose, request, onward string
	var life time.Duration
	var quota uint32
	var preview, asJSON bool
	c := &cobra.Command{Use: "give", Short: "Let somebody read parts of a record", Args: cobra.NoArgs,
		Example: "  abaton grant give --as patient-8a4c9c04 --to dr-ben --read general,imaging --for 24h\n  abaton grant give --as patient-8a4c9c04 --request ID",
		RunE: func(c *cobra.Command, _ []string) error {
			if request != "" {
				return e.answerRequest(c, as, request, quota)
			}
			if to == "" {
				return usage("say to whom with --to, or which request with --request")
			}
			categories, err := categoriesOf(read)
			if err != nil {
				return err
			}
			if p := abaton.Purpose(purpose); !p.Valid() || life <= 0 || quota == 0 {
				return usage("--purpose, --for or --quota is not one that can be given")
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			if d.Kind != actor.Patient {
				return usage("%s is no patient and has no record to give", d.Handle)
			}
			whom, team, err := d.grantee(c.Context(), to)
			if err != nil {
				return err
			}
			if err := forOnePerson(whom, categories, abaton.Purpose(purpose)); err != nil {
				return err
			}
			if preview || shielded(categories) {
				if err := e.preview(c.Context(), d, whom, team, categories, asJSON && preview); err != nil || preview {
					return err
				}
			}
			within, err := onwardTo(c.Context(), d, onward)
			if err != nil {
				return err
			}
			began := time.Now()
			id, p, err := d.Give(c.Context(), d.net, people.Terms{To: whom, Team: team, Actions: grant.Read, Categories: categories,
				Purpose: abaton.Purpose(purpose), Life: life, Quota: quota, Onward: within})
			if err != nil {
				return err
			}
			if onward != "" {
				e.say("It may be handed on once, inside %s: abaton grant onward", onward)
			}
			e.say("%s may now read %s, in force at %d of %d keepers after %v.", to, read, p.At, p.Of, time.Since(began).Round(time.Millisecond))
			if whom != nil {
				e.say("It begins with the next sign-in: abaton login --as %s", whom.Handle)
			} else {
				e.say("Whoever is in the team has it with the next sign-in: abaton team list")
			}
			e.print("%s\n", id)
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&to, "to", "", "who may read")
	c.Flags().StringVar(&read, "read", "general", "parts of the record, with commas: "+categoryNames())
	c.Flags().StringVar(&purpose, "purpose", string(abaton.Treatment), "why: a code of PurposeOfUse")
	c.Flags().DurationVar(&life, "for", 24*time.Hour, "for how long")
	c.Flags().Uint32Var(&quota, "quota", people.RecordsMax, "how many records at most")
	c.Flags().StringVar(&onward, "onward", "", "let it be handed on once: to people of this team or clinic")
	c.Flags().StringVar(&request, "request", "", "give what this access request asks for; abaton grant requests lists them")
	c.Flags().BoolVar(&preview, "preview", false, "show what would be seen and by whom, and give nothing")
	c.Flags().BoolVar(&asJSON, "json", false, "print the preview as JSON")
	c.MarkFlagsMutuallyExclusive("request", "to")
	c.MarkFlagsMutuallyExclusive("request", "preview")
	c.MarkFlagsMutuallyExclusive("request", "read")
	c.MarkFlagsMutuallyExclusive("request", "purpose")
	c.MarkFlagsMutuallyExclusive("request", "for")
	c.MarkFlagsMutuallyExclusive("request", "onward")
	c.MarkFlagRequired("as")
	return c
}

func categoryNames() string {
	var names []string
	for _, c := range fhir.Categories() {
		names = append(names, c.String())
	}
	return strings.Join(names, ", ")
}

func categoriesOf(text string) (all []fhir.Category, err error) {
	for name := range strings.SplitSeq(text, ",") {
		c, ok := fhir.ParseCategory(strings.TrimSpace(name))
		if !ok {
			return nil, usage("%q is no part of a record; there are: %s", name, categoryNames())
		}
		if !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all, nil
}

func newGrantStop(e *env) *cobra.Command {
	var as, to string
	var urgent, relock bool
	c := &cobra.Command{Use: "stop [GRANT]", Short: "Take access back", Args: cobra.MaximumNArgs(1),
		Example: "  abaton grant stop --as patient-8a4c9c04 --to dr-ben\n  abaton grant stop --as patient-8a4c9c04 --to dr-ben --relock",
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) == 0) == (to == "") {
				return usage("name one grant, or all of somebody's with --to")
			}
			d, err := e.device(as)
			if err != nil {
				return err
			}
			defer d.hangUp()
			ids, err := d.toStop(c.Context(), args, to)
			if err != nil {
				return err
			}
			if relock {
				return e.relock(c.Context(), d, client.Ending{Revoke: ids, Urgent: urgent}, nil, false)
			}
			for _, id := range ids {
				began := time.Now()
				p, err := d.Stop(c.Context(), d.net, id, urgent)
				if err != nil {
					return err
				}
				e.say("Stopped at %d of %d keepers after %v: %s", p.At, p.Of, time.Since(began).Round(time.Millisecond), id)
			}
			e.say("Keepers release nothing under it any more. A gateway that has the chart open asks them again within 60 seconds.")
			return nil
		}}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().StringVar(&to, "to", "", "stop all that this one was given to read")
	c.Flags().BoolVar(&urgent, "urgent", false, "also end the time in which older locks are accepted")
	c.Flags().BoolVar(&relock, "relock", false, "also lock anew all that could be read, so that kept keys open nothing of it")
	c.MarkFlagRequired("as")
	return c
}

func (d *device) toStop(ctx context.Context, args []string, to string) ([]abaton.GrantID, error) {
	if len(args) == 1 {
		id, err := abaton.ParseGrantID(args[0])
		if err != nil {
			return nil, usage("%q is no grant; abaton grant list shows them", args[0])
		}
		return []abaton.GrantID{id}, nil
	}
	whom, team, err := d.grantee(ctx, to)
	if err != nil {
		return nil, err
	}
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	var ids []abaton.GrantID
	for id, g := range st.Grants() {
		if (whom != nil && g.Grantee == whom.ID || team != nil && g.Grantee == team.ID) && g.Actions&grant.Read != 0 {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("nothing was given to %s: %w", to, abaton.ErrNotFound)
	}
	return ids, nil
}

// listedGrant is one line of grant list.
type listedGrant struct {
	Grant     string   `json:"grant"`
	To        string   `json:"to"`
	Actor     string   `json:"actor"`
	May       []string `json:"may"`
	Parts     []string `json:"parts"`
	Purposes  []string `json:"purposes"`
	NotBefore int64    `json:"notBefore"`
	Expires   int64    `json:"expires"`
	Quota     uint32   `json:"quota"`
	Expired   bool     `json:"expired"`
	When      string   `json:"when,omitempty"`   // the case in which it opens, and only then
	Onward    string   `json:"onward,omitempty"` // where it may be handed on, once
}

func newGrantList(e *env) *cobra.Command {
	shown := func(list []listedGrant) any {
		return struct {
			V      int           `json:"v"`
			Grants []listedGrant `json:"grants"`
		}{1, list}
	}
	return listing(e, &cobra.Command{Use: "list", Short: "Who may do what, until when"},
		"TO\tMAY\tPARTS\tWHY\tUNTIL\tGRANT", (*device).grants, shown, func(g listedGrant) string {
			until := time.Unix(g.Expires, 0).Format(time.DateOnly)
			if g.Expired {
				until = "ended"
			}
			parts := strings.Join(g.Parts, ",")
			if len(g.Parts) == len(fhir.Categories()) {
				parts = "all"
			}
			if g.When != "" {
				until += " in case of " + g.When
			}
			return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s", g.To, strings.Join(g.May, ","), parts, strings.Join(g.Purposes, ","), until, g.Grant)
		})
}

func (d *device) grants(ctx context.Context, now time.Time) ([]listedGrant, error) {
	d.net.Refresh(d.ID)
	st, err := d.net.Log(ctx, d.ID)
	if err != nil {
		return nil, err
	}
	known, err := namesWithTeams(d.at)
	if err != nil {
		return nil, err
	}
	parts := make(map[abaton.Line]string)
	for _, c := range fhir.Categories() {
		parts[d.Line(c.ID())] = c.String()
	}
	list := []listedGrant{}
	for id, g := range st.Grants() {
		l := listedGrant{Grant: id.String(), To: nameOf(known, g.Grantee), Actor: g.Grantee.String(), NotBefore: g.NotBefore,
			Expires: g.Expires, Quota: g.Quota, Expired: g.Expires <= now.Unix()}
		if g.When != grant.Always {
			l.When = g.When.String()
		}
		if g.Onward != (abaton.ActorID{}) {
			l.Onward = nameOf(known, g.Onward)
		}
		for _, may := range []struct {
			action grant.Action
			word   string
		}{{grant.Read, "read"}, {grant.Deposit, "deposit"}} {
			if g.Actions&may.action != 0 {
				l.May = append(l.May, may.word)
			}
		}
		for _, line := range g.Lines {
			l.Parts = append(l.Parts, cmp.Or(parts[line], "other"))
		}
		slices.Sort(l.Parts)
		for _, p := range g.Purposes {
			l.Purposes = append(l.Purposes, string(p))
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b listedGrant) int {
		return cmp.Or(strings.Compare(a.To, b.To), strings.Compare(a.Grant, b.Grant))
	})
	return list, nil
}

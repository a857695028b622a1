package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Sentence is one sentence of a letter. One that puts a patient's mind at rest
// names the ledger entries that say so, or is not written.
type Sentence struct {
	Text    string
	Proof   []string
	Assures bool
}

// Part is a heading and what stands under it.
type Part struct {
	Heading   string
	Sentences []Sentence
	Reads     bool // the table of requests follows
	List      bool // each sentence stands alone
}

// Languages are those a letter is written in.
func Languages() []string { return slices.Sorted(maps.Keys(languages())) }

// Letter is the notice in one language: CEFR B1, short sentences, active, from
// facts alone. Nil for a language that is none of Languages, and for a patient
// to whom nothing may be posted.
func (n *Notice) Letter(language string) []Part {
	w := wordsOf(language)
	if w == nil || !n.Post {
		return nil
	}
	var parts []Part
	for _, p := range []Part{
		{Heading: w.Happened, Sentences: n.happened(w)}, {Heading: w.Opened, Sentences: n.opened(w), Reads: true}, {Heading: w.Unseen, Sentences: n.unseen(w)},
		{Heading: w.Did, Sentences: n.did(w)}, {Heading: w.Do, Sentences: n.mayDo(w), List: true}, {Heading: w.Help, Sentences: n.help(w), List: true},
		{Heading: w.Check, Sentences: []Sentence{{Text: w.CheckHow}, {Text: w.CheckSays}}},
	} {
		if len(p.Sentences) > 0 {
			parts = append(parts, p)
		}
	}
	return parts
}

// assure is a sentence that reassures, or none without a proof.
func assure(proof []string, format string, args ...any) []Sentence {
	if len(proof) == 0 {
		return nil
	}
	return []Sentence{{Text: fmt.Sprintf(format, args...), Proof: proof, Assures: true}}
}

func plain(format string, args ...any) Sentence { return Sentence{Text: fmt.Sprintf(format, args...)} }

func (n *Notice) happened(w *phrases) []Sentence {
	out := []Sentence{plain("%s", w.count(w.AskedOne, w.AskedMany, len(n.Facts.Reads)))}
	out[0].Proof = n.proof(func(*Read) bool { return true })
	out = append(out, plain(w.First, w.moment(n.Facts.First)), plain(w.Last, w.moment(n.Facts.Last)))
	if n.From.Name != "" {
		out = append(out, plain(w.Through, n.From.Name))
	}
	for _, role := range n.roles() {
		out = append(out, plain(w.Role, role))
	}
	if how := w.Vectors[n.Vector]; how != "" {
		out = append(out, plain("%s", how))
	}
	return append(out, plain("%s", w.Breach))
}

func (n *Notice) roles() (all []string) {
	seen := make(map[string]bool)
	for _, r := range n.Facts.Reads {
		if r.Role != "" && !seen[r.Role] {
			seen[r.Role] = true
			all = append(all, r.Role)
		}
	}
	return all
}

func (n *Notice) proof(of func(*Read) bool) (ids []string) {
	for i := range n.Facts.Reads {
		if of(&n.Facts.Reads[i]) {
			ids = append(ids, n.Facts.Reads[i].Evidence...)
		}
	}
	return ids
}

func (n *Notice) opened(w *phrases) []Sentence {
	r := n.Facts.Records
	var out []Sentence
	if r.Opened > 0 {
		s := plain("%s", w.count(w.OpenedOne, w.OpenedMany, r.Opened))
		s.Proof = n.proof(func(r *Read) bool { return r.Opened > 0 })
		out = append(out, s, plain("%s", w.Means))
		out = append(out, n.kinds(w)...)
	}
	if r.Close > 0 {
		out = append(out, plain("%s", w.count(w.CloseOne, w.CloseMany, r.Close)), plain("%s", w.CloseWhy))
	}
	if r.Opened == 0 && r.Close == 0 {
		if n.Complete.Whole {
			out = append(out, assure(n.Complete.Evidence, "%s", w.Nothing)...)
		} else {
			out = append(out, plain("%s", w.Unsure))
		}
	}
	return append(out, plain("%s", w.Table))
}

// kinds says which kinds of records were opened, as far as somebody may know it.
func (n *Notice) kinds(w *phrases) (out []Sentence) {
	var known []string
	unseen := false
	for _, e := range n.Exposure {
		switch words := w.Classes[e.Class]; {
		case e.Records.Opened == 0:
		case words != "":
			known = append(known, words)
		default:
			unseen = true
		}
	}
	if len(known) > 0 {
		out = append(out, plain(w.Kinds, strings.Join(known, ", ")))
	}
	if unseen {
		out = append(out, plain("%s", w.KindsUnseen), plain("%s", w.KindsSee))
	}
	return out
}

func (n *Notice) unseen(w *phrases) []Sentence {
	var out []Sentence
	if asked := n.Facts.Records.Asked; asked > 0 {
		out = assure(n.proof(func(r *Read) bool { return r.Refused > 0 }), "%s", w.count(w.RefusedOne, w.RefusedMany, asked))
	}
	if n.Complete.Whole && n.Facts.Records.Opened+n.Facts.Records.Close > 0 {
		out = append(out, assure(n.Complete.Evidence, "%s", w.NothingElse)...)
	}
	if !n.Complete.Whole {
		out = append(out, plain("%s", w.Incomplete))
	}
	return out
}

func (n *Notice) did(w *phrases) []Sentence {
	var out []Sentence
	if n.Contained != 0 {
		out = append(out, plain(w.Contained, w.moment(n.Contained)))
	}
	for _, m := range n.Measures {
		if m.What != "" {
			out = append(out, plain(w.Measure, w.moment(m.At), strings.TrimSuffix(m.What, ".")))
		}
	}
	return append(out, plain("%s", w.Kept))
}

func (n *Notice) mayDo(w *phrases) []Sentence {
	out := []Sentence{plain("%s", w.History), plain("%s", w.Stop), plain("%s", w.Beware), plain("%s", w.Never)}
	if n.From.Authority != "" {
		out = append(out, plain(w.Complain, n.From.Authority))
	}
	return out
}

// help names whom the organisation named, and helplines of its country.
func (n *Notice) help(w *phrases) []Sentence {
	var out []Sentence
	if c := n.From.Patients.line(); c != "" {
		out = append(out, plain("%s", w.Questions), plain(w.Contact, c))
	}
	if c := n.From.Support.line(); c != "" {
		out = append(out, plain("%s", w.Upset), plain("%s", w.Normal), plain(w.Contact, c))
	}
	for _, h := range n.From.Helplines {
		if format := w.HelpFor[h.For]; format != "" {
			out = append(out, plain(format, h.Contact.line()))
		}
	}
	if c := n.From.DPO.line(); c != "" {
		out = append(out, plain(w.Officer, c))
	}
	return out
}

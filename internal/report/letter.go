package report

import (
	"fmt"
	"strings"
	"time"
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
}

// Languages are those a letter is written in.
func Languages() []string { return []string{"en", "nl"} }

// Letter is the notice in one language: CEFR B1, short sentences, active, from
// facts alone. Nil for a language that is none of Languages, and for a patient
// to whom nothing may be posted.
func (n *Notice) Letter(language string) []Part {
	w := words[language]
	if w == nil || !n.Post {
		return nil
	}
	var parts []Part
	for _, p := range []Part{
		{w.happened, n.happened(w), false}, {w.opened, n.opened(w), true}, {w.unseen, n.unseen(w), false},
		{w.did, n.did(w), false}, {w.do, n.mayDo(w), false}, {w.help, n.help(w), false}, {w.check, []Sentence{{Text: w.checkHow}, {Text: w.checkSays}}, false},
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
	out := []Sentence{plain(w.asked, len(n.Facts.Reads))}
	out[0].Proof = n.proof(func(*Read) bool { return true })
	out = append(out, plain(w.first, w.moment(n.Facts.First)), plain(w.last, w.moment(n.Facts.Last)))
	if n.From.Name != "" {
		out = append(out, plain(w.through, n.From.Name))
	}
	for _, role := range n.roles() {
		out = append(out, plain(w.role, role))
	}
	if how := w.vectors[n.Vector]; how != "" {
		out = append(out, plain("%s", how))
	}
	return append(out, plain("%s", w.breach))
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
		s := plain("%s", w.count(w.openedOne, w.openedMany, r.Opened))
		s.Proof = n.proof(func(r *Read) bool { return r.Opened > 0 })
		out = append(out, s, plain("%s", w.means))
	}
	if r.Close > 0 {
		out = append(out, plain("%s", w.count(w.closeOne, w.closeMany, r.Close)), plain("%s", w.closeWhy))
	}
	if r.Opened == 0 && r.Close == 0 {
		if n.Complete.Whole {
			out = append(out, assure(n.Complete.Evidence, "%s", w.nothing)...)
		} else {
			out = append(out, plain("%s", w.unsure))
		}
	}
	return append(out, plain("%s", w.table))
}

func (n *Notice) unseen(w *phrases) []Sentence {
	var out []Sentence
	if asked := n.Facts.Records.Asked; asked > 0 {
		out = assure(n.proof(func(r *Read) bool { return r.Refused > 0 }), "%s", w.count(w.refusedOne, w.refusedMany, asked))
	}
	if n.Complete.Whole && n.Facts.Records.Opened+n.Facts.Records.Close > 0 {
		out = append(out, assure(n.Complete.Evidence, "%s", w.nothingElse)...)
	}
	if !n.Complete.Whole {
		out = append(out, plain("%s", w.incomplete))
	}
	return out
}

func (n *Notice) did(w *phrases) []Sentence {
	var out []Sentence
	if n.Contained != 0 {
		out = append(out, plain(w.contained, w.moment(n.Contained)))
	}
	for _, m := range n.Measures {
		if m.What != "" {
			out = append(out, plain(w.measure, w.moment(m.At), strings.TrimSuffix(m.What, ".")))
		}
	}
	return append(out, plain("%s", w.kept))
}

func (n *Notice) mayDo(w *phrases) []Sentence {
	out := []Sentence{plain("%s", w.history), plain("%s", w.stop), plain("%s", w.beware), plain("%s", w.never)}
	if n.From.Authority != "" {
		out = append(out, plain(w.complain, n.From.Authority))
	}
	return out
}

// help names whom the organisation named, and nobody else.
func (n *Notice) help(w *phrases) []Sentence {
	var out []Sentence
	if c := n.From.Patients.line(); c != "" {
		out = append(out, plain("%s", w.questions), plain(w.contact, c))
	}
	if c := n.From.Support.line(); c != "" {
		out = append(out, plain("%s", w.upset), plain("%s", w.normal), plain(w.contact, c))
	}
	if c := n.From.DPO.line(); c != "" {
		out = append(out, plain(w.officer, c))
	}
	return out
}

// phrases are the words of one language.
type phrases struct {
	title, drill, happened, opened, unseen, did, do, help, check string
	asked, first, last, through, role, breach                    string
	openedOne, openedMany, means, closeOne, closeMany, closeWhy  string
	nothing, unsure, table, refusedOne, refusedMany              string
	nothingElse, incomplete, contained, measure, kept            string
	history, stop, beware, never, complain                       string
	questions, contact, upset, normal, officer                   string
	checkHow, checkSays                                          string
	withheld, speak, speakNobody                                 string
	columns                                                      [6]string
	acts                                                         map[string]string
	vectors                                                      map[Vector]string
	months                                                       [12]string
}

func (w *phrases) count(one, many string, n int) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

func (w *phrases) moment(at int64) string {
	t := time.Unix(at, 0).UTC()
	return fmt.Sprintf("%d %s %d, %s UTC", t.Day(), w.months[t.Month()-1], t.Year(), t.Format("15:04"))
}

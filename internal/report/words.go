package report

import (
	"embed"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Each language is one file of the same names (TestEveryLanguageSaysEverything).
// Whoever changes a sentence keeps it short: a test counts.
//
//go:embed words/*.json
var wordFiles embed.FS

// phrases are the words of one language.
type phrases struct {
	Title, Drill, Happened, Opened, Unseen, Did, Do, Help, Check, AskedOne, AskedMany, First, Last string
	Through, Role, Breach, OpenedOne, OpenedMany, Means, CloseOne, CloseMany, CloseWhy             string
	Nothing, Unsure, Table, RefusedOne, RefusedMany, NothingElse, Incomplete                       string
	Contained, Measure, Kept, History, Stop, Beware, Never, Complain, Questions                    string
	Contact, Upset, Normal, Officer, CheckHow, CheckSays, Withheld, Speak, SpeakNobody             string
	Pages                                                                                          string
	Kinds, KindsUnseen, KindsSee                                                                   string
	Columns                                                                                        []string // of the table of requests
	Months                                                                                         []string
	HelpFor                                                                                        map[string]string // by what a helpline is for
	Classes                                                                                        map[string]string // by the name of a class
	Acts                                                                                           map[string]string // by the name of a ledger's operation
	Vectors                                                                                        map[Vector]string
}

// languages reads the files once; one that is not in its form is a mistake of this
// program.
var languages = sync.OnceValue(func() map[string]*phrases {
	files, err := wordFiles.ReadDir("words")
	if err != nil {
		panic("the words are built in")
	}
	all := make(map[string]*phrases)
	for _, f := range files {
		text, err := wordFiles.ReadFile("words/" + f.Name())
		if err != nil {
			panic("the words are built in")
		}
		w := new(phrases)
		if err := strict(text, w); err != nil || len(w.Columns) != 6 || len(w.Months) != 12 {
			panic("built-in words " + f.Name() + " are not in their form")
		}
		all[strings.TrimSuffix(f.Name(), ".json")] = w
	}
	return all
})

// wordsOf are the words of a language; nil for one that is not known here.
func wordsOf(language string) *phrases { return languages()[language] }

func (w *phrases) count(one, many string, n int) string {
	if n == 1 {
		return one
	}
	return fmt.Sprintf(many, n)
}

func (w *phrases) moment(at int64) string {
	t := time.Unix(at, 0).UTC()
	return fmt.Sprintf("%d %s %d, %s UTC", t.Day(), w.Months[t.Month()-1], t.Year(), t.Format("15:04"))
}

package escrow

import (
	"embed"
	"slices"
	"strings"
	"sync"
)

// wordBits is how many bits a word of a list stands for.
const wordBits = 11

//go:embed words/*.txt
var wordFiles embed.FS

// Language names a list of 2,048 words.
type Language string

// The languages of version 1. The lists are data of others, unchanged:
// words/SOURCES says whose.
const (
	English Language = "en"
	Dutch   Language = "nl"
)

// Languages are those that have a list.
func Languages() []Language { return []Language{English, Dutch} }

// Valid reports whether there is a list for l.
func (l Language) Valid() bool { return slices.Contains(Languages(), l) }

// words is the list; English where there is none.
func (l Language) words() []string {
	if l == Dutch {
		return dutch()
	}
	return english()
}

// Both are read once, when first needed, and never change.
var (
	english = sync.OnceValue(func() []string { return readList(English) })
	dutch   = sync.OnceValue(func() []string { return readList(Dutch) })
)

func readList(l Language) []string {
	text, err := wordFiles.ReadFile("words/" + string(l) + ".txt")
	if err != nil {
		panic("escrow: the lists are part of the program")
	}
	list := strings.Fields(string(text))
	if len(list) != 1<<wordBits {
		panic("escrow: a list has 2,048 words")
	}
	return list
}

func (l Language) index(word string) int {
	return slices.Index(l.words(), strings.ToLower(strings.TrimSpace(word)))
}

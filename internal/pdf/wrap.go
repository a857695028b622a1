package pdf

// line is one line: runs of letters, each in one manner.
type line []run

type run struct {
	text        []rune
	bold, small bool
}

// wrap breaks spans into lines of at most a width: between words, and inside one
// that is wider than a line.
func (d *Document) wrap(spans []Span, size, wide int) (lines []line) {
	var now line
	used := 0
	end := func() {
		if len(now) > 0 {
			lines, now, used = append(lines, now), nil, 0
		}
	}
	put := func(word []rune, s *Span, w int) {
		if len(now) == 0 || now[len(now)-1].bold != s.Bold || now[len(now)-1].small != s.Small {
			now = append(now, run{bold: s.Bold, small: s.Small})
		}
		last := &now[len(now)-1]
		last.text, used = append(last.text, word...), used+w
	}
	for i := range spans {
		s := &spans[i]
		f, scale := d.faces[0], size
		if s.Bold {
			f = d.faces[1]
		}
		if s.Small {
			scale = size * 3 / 4
		}
		text := d.letters(s.Text)
		if d.err != nil {
			return nil
		}
		for _, word := range words(text) {
			seen := word
			if seen[len(seen)-1] == ' ' { // a space at the end of a line takes no room
				seen = seen[:len(seen)-1]
			}
			if used > 0 && used+f.width(seen, scale) > wide {
				end()
			}
			for f.width(seen, scale) > wide && len(seen) > 1 {
				n := 1
				for n < len(seen)-1 && f.width(word[:n+1], scale) <= wide {
					n++
				}
				put(word[:n], s, wide)
				end()
				word, seen = word[n:], seen[n:]
			}
			put(word, s, f.width(word, scale))
		}
	}
	end()
	return lines
}

// words are a text's, each with the space that follows it.
func words(text []rune) (all [][]rune) {
	from := 0
	for i, r := range text {
		if r == ' ' || i == len(text)-1 {
			all = append(all, text[from:i+1])
			from = i + 1
		}
	}
	return all
}

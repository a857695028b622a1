package pdf

// Table has one row of headings and others below.
type Table struct {
	Head []string
	Rows [][]string
	Wide []int // parts of the width, one a column
}

const cellPad = 3 * point

// cells are a row's lines, one list a column.
type cells [][]line

// Table writes a table. Its headings stand again on each page.
func (d *Document) Table(t Table) {
	size := d.size(80)
	table := d.add(d.in, "Table")
	edges := t.edges()
	head := d.cells(t.Head, edges, size, true)
	d.row(d.add(table, "TR"), head, head, edges, size, "TH")
	for _, r := range t.Rows {
		d.row(d.add(table, "TR"), d.cells(r, edges, size, false), head, edges, size, "TD")
	}
	d.y -= d.size(50)
}

// edges are where columns begin, and where the last ends.
func (t *Table) edges() []int {
	sum, before := 0, 0
	for _, w := range t.Wide {
		sum += w
	}
	edges := []int{margin}
	for _, w := range t.Wide {
		before += w
		edges = append(edges, margin+columnWide*before/max(sum, 1))
	}
	return edges
}

func (d *Document) cells(texts []string, edges []int, size int, bold bool) (all cells) {
	for i := range len(edges) - 1 {
		text := ""
		if i < len(texts) {
			text = texts[i]
		}
		all = append(all, d.wrap([]Span{{Text: text, Bold: bold}}, size, edges[i+1]-edges[i]-2*cellPad))
	}
	return all
}

func (c cells) lines() (n int) {
	for _, lines := range c {
		n = max(n, len(lines))
	}
	return max(n, 1)
}

// row writes a row on one page, or, if it is longer than a page, on several.
func (d *Document) row(tr *element, c, head cells, edges []int, size int, kind string) {
	if d.err != nil {
		return
	}
	var elements []*element
	for range c {
		e := d.add(tr, kind)
		if kind == "TH" {
			e.more = " /A <</O /Table /Scope /Column>>"
		}
		elements = append(elements, e)
	}
	high := func(lines int) int { return lines*leading(size) + 2*cellPad }
	for at, n := 0, c.lines(); at < n; {
		left := (d.y - margin - 2*cellPad) / leading(size)
		if left < n-at && d.y != d.top() && (high(n-at) <= d.top()-margin-high(head.lines()) || left < 1) {
			d.newPage()
			if kind == "TD" && high(head.lines()+1) < d.y-margin {
				d.again(head, edges, size)
			}
			left = (d.y - margin - 2*cellPad) / leading(size)
		}
		some := max(min(left, n-at), 1)
		for i, lines := range c {
			for j := at; j < min(at+some, len(lines)); j++ {
				d.mark(elements[i])
				d.line(lines[j], size, edges[i]+cellPad, d.y-cellPad-size-(j-at)*leading(size))
			}
			d.close()
		}
		d.frame(edges, high(some))
		at += some
	}
}

// again writes the headings on a further page: not part of what is read aloud.
func (d *Document) again(head cells, edges []int, size int) {
	d.draw("/Artifact <</Type /Layout>> BDC\n")
	for i, lines := range head {
		for j, l := range lines {
			d.line(l, size, edges[i]+cellPad, d.y-cellPad-size-j*leading(size))
		}
	}
	d.draw("EMC\n")
	d.frame(edges, head.lines()*leading(size)+2*cellPad)
}

// frame draws the lines around a row and goes below it.
func (d *Document) frame(edges []int, high int) {
	d.draw("/Artifact <</Type /Layout>> BDC\n.5 w .5 G\n")
	for i := range len(edges) - 1 {
		d.draw("%s %s %s %s re S\n", points(edges[i]), points(d.y-high), points(edges[i+1]-edges[i]), points(high))
	}
	d.draw("EMC\n")
	d.y -= high
}

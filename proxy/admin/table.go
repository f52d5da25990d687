package admin

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// table is what a page lists. It is shown as HTML and exported as CSV and JSON.
type table struct {
	// Name is what the file of an export is called, without extension.
	Name    string
	Caption string
	Columns []column
	Rows    [][]cell
	// each writes the rows of an export as they come from the store; nil where
	// they are in Rows.
	each func(write func([]cell) error) error
	// Total is how many rows there are, of which Rows are a part.
	Total int
	// More says that there are still others, uncounted.
	More bool
	// Empty is said where there are no rows.
	Empty string

	CSV, JSON             string // addresses of the exports
	Newer, Older          string // addresses of the parts before and after
	FirstShown, LastShown int
}

// column is a column of a table.
type column struct {
	// Key is the column's name in exports and addresses.
	Key, Title string
	Number     bool
	// Spare columns are left out where the screen is narrow; numbers other than
	// 0 are not.
	Spare bool
	// Sort is the address that sorts by the column; empty where nothing does.
	Sort string
	// Sorted is "ascending", "descending" or empty.
	Sorted string
}

// cell is a field of a table.
type cell struct {
	// Value is what is exported: string, int64, time.Time or []string.
	Value any
	// Text is what is shown; by default, what Value is.
	Text string
	// Sub is shown small below it.
	Sub string
	// Link is where it leads.
	Link string
	// Class is its style: category, path, alarm, quiet.
	Class string
}

// Shown returns what the cell shows.
func (c cell) Shown() string {
	if c.Text != "" {
		return c.Text
	}
	switch v := c.Value.(type) {
	case string:
		return v
	case int64:
		return count(v)
	case time.Time:
		return v.Format("2 Jan 2006")
	default:
		return ""
	}
}

// At returns a cell's column.
func (t *table) At(i int) column { return t.Columns[i] }

// arrange sets the addresses by which the table is sorted, paged and exported.
func (t *table) arrange(u *url.URL, sortable []string, part extent) {
	at := func(set ...string) string {
		q := u.Query()
		for i := 0; i < len(set); i += 2 {
			if q.Del(set[i]); set[i+1] != "" {
				q.Set(set[i], set[i+1])
			}
		}
		if len(q) == 0 {
			return u.Path
		}
		return u.Path + "?" + q.Encode()
	}
	t.CSV, t.JSON = at("format", "csv", "offset", ""), at("format", "json", "offset", "")
	for i := range t.Columns {
		c := &t.Columns[i]
		for _, key := range sortable {
			if key != c.Key {
				continue
			}
			c.Sort = at("sort", c.Key, "reverse", "", "offset", "")
			if c.Key == part.sort {
				if !part.reverse {
					c.Sort = at("sort", c.Key, "reverse", "1", "offset", "")
				}
				c.Sorted = "ascending"
				if falls := c.Number || c.Key == "first" || c.Key == "last"; falls != part.reverse {
					c.Sorted = "descending"
				}
			}
		}
	}
	t.FirstShown, t.LastShown = part.offset+1, part.offset+len(t.Rows)
	if part.offset > 0 {
		t.Newer = at("offset", positive(part.offset-pageRows))
	}
	if t.LastShown < t.Total {
		t.Older = at("offset", positive(part.offset+pageRows))
	}
}

func positive(n int) string {
	if n <= 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// pageRows is how many rows are shown at once; exports have all.
const pageRows = 100

// extent says which part of a table is shown, in which order.
type extent struct {
	sort    string
	reverse bool
	offset  int
}

// formats are those of exports.
var formats = map[string]struct {
	contentType string
	write       func(*table, *bufio.Writer) error
}{
	"csv":  {"text/csv; charset=utf-8; header=present", (*table).writeCSV},
	"json": {"application/json", (*table).writeJSON},
}

const (
	// exportTime is how long an export may take.
	exportTime = 10 * time.Minute
	// exportStall is how long its client may take none of it.
	exportStall = 30 * time.Second
)

// export writes a table as it comes from the store, one export at a time, so that
// pages need not wait for the client. What goes wrong in the middle breaks the
// connection: a file cut short must not look whole.
func (a *Admin) export(w http.ResponseWriter, r *request, t *table) {
	format, ok := formats[r.format]
	if !ok {
		http.Error(w, "The formats are csv and json.", http.StatusBadRequest)
		return
	}
	select {
	case a.exports <- struct{}{}:
		defer func() { <-a.exports }()
	case <-r.Context().Done():
		return
	}
	w.Header().Set("Content-Type", format.contentType)
	w.Header().Set("Content-Disposition", `attachment; filename="`+t.Name+"."+r.format+`"`)
	body := &patient{w: w}
	out := bufio.NewWriterSize(body, 32<<10)
	err := format.write(t, out)
	if err == nil {
		err = out.Flush()
	}
	switch {
	case err == nil:
		return
	case r.Context().Err() == nil:
		a.o.Log.Error("export cut short", "path", r.URL.Path, "error", err)
	}
	if body.begun {
		panic(http.ErrAbortHandler)
	}
	w.Header().Del("Content-Disposition")
	http.Error(w, "The records could not be read. The log says why.", http.StatusInternalServerError)
}

// patient writes a response that may take long, as long as the client takes it.
type patient struct {
	w     http.ResponseWriter
	begun bool
}

func (p *patient) Write(data []byte) (int, error) {
	p.begun = true
	// Not every ResponseWriter has deadlines; the export's own holds there.
	_ = http.NewResponseController(p.w).SetWriteDeadline(time.Now().Add(exportStall))
	return p.w.Write(data)
}

// rows calls write for each row.
func (t *table) rows(write func([]cell) error) error {
	if t.each != nil {
		return t.each(write)
	}
	for _, row := range t.Rows {
		if err := write(row); err != nil {
			return err
		}
	}
	return nil
}

func (t *table) writeCSV(w *bufio.Writer) error {
	out := csv.NewWriter(w)
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = c.Key
	}
	out.Write(record)
	err := t.rows(func(row []cell) error {
		for i, c := range row {
			switch v := c.Value.(type) {
			case string:
				record[i] = Inert(v)
			case int64:
				record[i] = strconv.FormatInt(v, 10)
			case time.Time:
				record[i] = v.Format(time.RFC3339)
			case []string:
				record[i] = Inert(strings.Join(v, " "))
			default:
				record[i] = fmt.Sprint(v)
			}
		}
		return out.Write(record)
	})
	if err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

// Inert keeps spreadsheets from taking a text for a formula.
func Inert(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + s
	}
	return s
}

// writeJSON writes each row as an object whose members stand in the order of the
// columns.
func (t *table) writeJSON(w *bufio.Writer) error {
	before := byte('[')
	err := t.rows(func(row []cell) error {
		w.WriteByte(before)
		before = ','
		for i, c := range row {
			if i == 0 {
				w.WriteString("\n{")
			} else {
				w.WriteByte(',')
			}
			value, err := json.Marshal(c.Value)
			if err != nil {
				return err
			}
			w.Write(strconv.AppendQuote(w.AvailableBuffer(), t.Columns[i].Key))
			w.WriteByte(':')
			if _, err := w.Write(value); err != nil {
				return err
			}
		}
		return w.WriteByte('}')
	})
	if err != nil {
		return err
	}
	if before == '[' {
		w.WriteByte('[')
	}
	_, err = w.WriteString("\n]\n")
	return err
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// plural writes a number and the word for it.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

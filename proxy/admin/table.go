package admin

import (
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
	// Total is how many rows there are, of which Rows are a part.
	Total int
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
	// Spare columns are left out where the screen is narrow.
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

// export writes the table in the format csv or json.
func (t *table) export(w http.ResponseWriter, format string) {
	switch format {
	case "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		w.Header().Set("Content-Disposition", `attachment; filename="`+t.Name+`.csv"`)
		t.writeCSV(w)
	case "json":
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Disposition", `attachment; filename="`+t.Name+`.json"`)
		t.writeJSON(w)
	default:
		http.Error(w, "The formats are csv and json.", http.StatusBadRequest)
	}
}

func (t *table) writeCSV(w http.ResponseWriter) {
	out := csv.NewWriter(w)
	record := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		record[i] = c.Key
	}
	out.Write(record)
	for _, row := range t.Rows {
		for i, c := range row {
			switch v := c.Value.(type) {
			case string:
				record[i] = inert(v)
			case time.Time:
				record[i] = v.Format(time.RFC3339)
			case []string:
				record[i] = inert(strings.Join(v, " "))
			default:
				record[i] = fmt.Sprint(v)
			}
		}
		out.Write(record)
	}
	out.Flush()
}

// inert keeps spreadsheets from taking a text for a formula.
func inert(s string) string {
	if first, _ := utf8.DecodeRuneInString(s); s != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + s
	}
	return s
}

func (t *table) writeJSON(w http.ResponseWriter) {
	list := make([]object, len(t.Rows))
	for i, row := range t.Rows {
		list[i] = object{t.Columns, row}
	}
	json.NewEncoder(w).Encode(list)
}

// object is a row as a JSON object whose members stand in the order of the
// columns.
type object struct {
	columns []column
	row     []cell
}

func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, c := range o.row {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, o.columns[i].Key)
		value, err := json.Marshal(c.Value)
		if err != nil {
			return nil, err
		}
		b = append(append(b, ':'), value...)
	}
	return append(b, '}'), nil
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

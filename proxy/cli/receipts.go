package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/askfirst/askfirst/configs"
	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// records adds --data and --records to f; the returned function opens the store
// that they name, which a running askfirst may be writing to.
func (c *console) records(f *flag.FlagSet) func() (*audit.Store, error) {
	data := f.String("data", filepath.Join(dataFolder, "8080"), "the `folder` that records are kept in")
	database := f.String("records", "", "the PostgreSQL `database` that records are kept in, postgres://…, instead of the folder")
	return func() (*audit.Store, error) {
		if *database != "" {
			return c.openPlace(*database)
		}
		return c.openPlace(*data)
	}
}

// openPlace opens the records in a folder or a database.
func (c *console) openPlace(place string) (*audit.Store, error) {
	log := slog.New(slog.NewTextHandler(c.err, nil))
	if audit.IsDSN(place) {
		if err := configs.CheckDatabase(place); err != nil {
			return nil, usageError{err}
		}
		return audit.OpenShared(context.Background(), place, "", log)
	}
	if _, err := os.Stat(filepath.Join(place, audit.FileName)); err != nil {
		return nil, usageErrorf("there are no records in %s; name their folder with --data, or their database with --records", place)
	}
	return audit.Open(context.Background(), place, log)
}

// operator names who runs the command, as the log of what operators did does.
func operator() string {
	if u, err := user.Current(); err == nil {
		return "operator " + u.Username
	}
	return "operator"
}

// patiently is for commands that go through all records: without a deadline of
// its own a query of a database is given half a minute.
func patiently() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 7*24*time.Hour)
}

// listedOperations is how many operations receipts log prints.
const listedOperations = 1000

func runReceipts(c *console, args []string) error {
	const synopsis = "receipts verify|find|export|erase|request|answer|requests|log [--data FOLDER|--records DATABASE] [--id ID]"
	f := c.flags(synopsis)
	open := c.records(f)
	var r receiptCommand
	id := f.String("id", "", "the `ID` of the receipt, as the visitor's own record shows it")
	f.StringVar(&r.kind, "kind", "access", "what was requested: `access or erasure`")
	received := f.String("received", "", "the `day` on which a request was received, such as 2026-10-31 (default today)")
	f.BoolVar(&r.all, "all", false, "list answered requests too")
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		r.action, args = args[0], args[1:]
	}
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if *id != "" {
		if r.id, r.one = consent.ParseID(*id); !r.one {
			return usageErrorf("%q is no receipt's ID", *id)
		}
	}
	if r.received = time.Now(); *received != "" {
		var err error
		if r.received, err = time.Parse(time.DateOnly, *received); err != nil {
			return usageErrorf("--received is %q; write a day such as 2026-10-31", *received)
		}
	}
	if r.kind != "access" && r.kind != "erasure" {
		return usageErrorf("--kind is %q; it can be access or erasure", r.kind)
	}
	switch r.action {
	case "verify", "export", "requests", "log":
	case "find", "erase", "request", "answer":
		if !r.one {
			return usageErrorf("receipts %s needs --id ID", r.action)
		}
	default:
		return usageErrorf("askfirst %s", synopsis)
	}
	store, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := patiently()
	defer cancel()
	err = r.run(ctx, c.out, store)
	return errors.Join(err, store.Close())
}

// receiptCommand is what askfirst receipts was asked for.
type receiptCommand struct {
	action   string
	id       consent.ID
	one      bool // id is given
	kind     string
	received time.Time
	all      bool
}

func (r *receiptCommand) run(ctx context.Context, w io.Writer, store *audit.Store) error {
	who := operator()
	switch r.action {
	case "verify":
		v, err := store.Verify(ctx)
		if err != nil {
			return err
		}
		return printVerification(w, v)
	case "find":
		if _, err := store.Receipt(ctx, r.id); err != nil {
			return err
		}
		var entries, plain bytes.Buffer
		err := store.ExportOne(ctx, &entries, r.id)
		for line := range bytes.Lines(entries.Bytes()) {
			err = errors.Join(err, json.Indent(&plain, line, "", "  "))
		}
		if err != nil {
			return err
		}
		if _, err := plain.WriteTo(w); err != nil {
			return err
		}
		return store.Log(ctx, audit.Operation{Who: who, Action: "find", About: r.id.String()})
	case "erase":
		return store.EraseAs(ctx, r.id, who)
	case "request":
		return store.OpenRequest(ctx, r.id, r.kind, r.received, who)
	case "answer":
		return store.AnswerRequest(ctx, r.id, r.kind, who)
	case "requests":
		list, err := store.Requests(ctx, r.all)
		if err != nil {
			return err
		}
		return printRequests(w, list, time.Now())
	case "log":
		list, err := store.Operations(ctx, audit.Filter{}, audit.Slice{Limit: listedOperations})
		for _, o := range list {
			fmt.Fprintf(w, "%s  %s  %s %s %s\n", o.At.Format(time.RFC3339), o.Who, o.Action, o.About, o.Detail)
		}
		return err
	}
	about := "all"
	var err error
	if r.one {
		about = r.id.String()
		if _, err = store.Receipt(ctx, r.id); err == nil {
			err = store.ExportOne(ctx, w, r.id)
		}
	} else {
		err = store.Export(ctx, w, audit.Filter{})
	}
	if err != nil {
		return err
	}
	return store.Log(ctx, audit.Operation{Who: who, Action: "export", About: about})
}

func printVerification(w io.Writer, v *audit.Verification) error {
	fmt.Fprintf(w, "%d receipts of %d sites, %d of them erased\n", v.Receipts, v.Sites, v.Erased)
	for _, b := range v.Breaks {
		fmt.Fprintln(w, b)
	}
	if len(v.Breaks) > 0 {
		return fmt.Errorf("the ledger is not what was written: %d breaks", len(v.Breaks))
	}
	return nil
}

// printRequests lists what visitors asked for, with the days that are left.
func printRequests(w io.Writer, list []audit.Request, now time.Time) error {
	out := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(out, "RECEIPT\tASKED FOR\tRECEIVED\tDUE\tSTATE\n")
	for _, r := range list {
		days := int(r.Due.Sub(now).Hours() / 24)
		state := fmt.Sprintf("%d days left", days)
		switch {
		case !r.Answered.IsZero() && r.Late(now):
			state = "answered late, on " + r.Answered.Format(time.DateOnly)
		case !r.Answered.IsZero():
			state = "answered on " + r.Answered.Format(time.DateOnly)
		case r.Late(now):
			state = fmt.Sprintf("OVERDUE by %d days", -days)
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", r.Receipt, r.Kind, r.Received.Format(time.DateOnly), r.Due.Format(time.DateOnly), state)
	}
	return out.Flush()
}

func runStore(c *console, args []string) error {
	const synopsis = "store prune [--dry-run] [--data FOLDER|--records DATABASE] | store copy --from PLACE --to PLACE"
	if len(args) > 0 && args[0] == "copy" {
		return c.copyStore(args[1:])
	}
	f := c.flags(synopsis)
	open := c.records(f)
	dry := f.Bool("dry-run", false, "only say what would be taken out")
	if len(args) > 0 && args[0] == "prune" {
		args = args[1:]
	} else if !asksHelp(args) {
		return usageErrorf("askfirst %s", synopsis)
	}
	if err := parse(f, args, 0); err != nil {
		return err
	}
	store, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := patiently()
	defer cancel()
	prune := store.Prune
	if *dry {
		prune = store.Prunable
	}
	p, err := prune(ctx, audit.DefaultRetention)
	if err == nil {
		told := fmt.Sprintf("%d receipts, %d texts, %d rows of counts", p.Receipts, p.Texts, p.Counts)
		fmt.Fprintln(c.out, told)
		if !*dry {
			err = store.Log(ctx, audit.Operation{Who: operator(), Action: "prune", Detail: told})
		}
	}
	return errors.Join(err, store.Close())
}

// copyStore copies records from one place to another, and verifies them there.
func (c *console) copyStore(args []string) error {
	f := c.flags("store copy --from PLACE --to PLACE")
	from := f.String("from", "", "the `place` of the records: a folder, or a database postgres://…")
	to := f.String("to", "", "the `place` to copy them to, which must hold none")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	if *from == "" || *to == "" {
		return usageErrorf("store copy needs --from and --to, each a folder or postgres://…")
	}
	source, err := c.openPlace(*from)
	if err != nil {
		return err
	}
	defer source.Close()
	if !audit.IsDSN(*to) {
		// A folder may be new.
		store, err := audit.Open(context.Background(), *to, slog.New(slog.NewTextHandler(c.err, nil)))
		if err != nil {
			return err
		}
		store.Close()
	}
	target, err := c.openPlace(*to)
	if err != nil {
		return err
	}
	ctx, cancel := patiently()
	defer cancel()
	v, err := audit.Copy(ctx, source, target)
	if v != nil {
		err = errors.Join(err, printVerification(c.out, v))
	}
	if err == nil {
		err = target.Log(ctx, audit.Operation{Who: operator(), Action: "copy"})
	}
	return errors.Join(err, target.Close())
}

func runReport(c *console, args []string) error {
	f := c.flags("report [--site NAME] --month YYYY-MM [--config FILE] [--data FOLDER|--records DATABASE] > report.html")
	open := c.records(f)
	site := f.String("site", "", "the `name` of the site (default all)")
	month := f.String("month", "", "the `month`, such as 2026-10")
	config := f.String("config", "", "the configuration `file` in which the site says on what data go to vendors (transfers), and which rules are its own")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	at, err := time.Parse("2006-01", *month)
	if err != nil {
		return usageErrorf("--month is %q; write a month such as 2026-10", *month)
	}
	if at.After(time.Now()) {
		return usageErrorf("--month is %s, which has not begun", *month)
	}
	known, err := reported(*config, *site)
	if err != nil {
		return err
	}
	store, err := open()
	if err != nil {
		return err
	}
	ctx, cancel := patiently()
	defer cancel()
	if *config == "" {
		err = refuseUnrecorded(ctx, store, *site)
	}
	if err == nil {
		err = admin.Report(ctx, c.out, store, known, *site, at)
	}
	return errors.Join(err, store.Close())
}

// refuseUnrecorded refuses a site of which there are no records: a report of it would say
// that nothing fired.
func refuseUnrecorded(ctx context.Context, store *audit.Store, site string) error {
	if site == "" {
		return nil
	}
	sites, err := store.Sites(ctx)
	if err == nil && !slices.Contains(sites, site) {
		err = usageErrorf("there are no records of a site %q; there are of %q", site, sites)
	}
	return err
}

// reported returns what a configuration says of a site; without a name, of the
// only one. Without a configuration there is the catalogue alone.
func reported(config, site string) (admin.Site, error) {
	var known admin.Site
	var options rules.Options
	if config != "" {
		cfg, err := loadConfig(config)
		if err != nil {
			return known, err
		}
		if site == "" && len(cfg.Sites) > 1 {
			return known, usageErrorf("%s has %d sites: name one with --site", config, len(cfg.Sites))
		}
		found, err := findSite(cfg, config, site)
		if err != nil {
			return known, err
		}
		options, known.Transfers = found.Rules(), found.Transfers
	}
	engine, err := rules.New(options)
	if err != nil {
		return known, usageError{err}
	}
	known.Engine = engine
	return known, nil
}

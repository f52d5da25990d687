package cli

import (
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
	"time"

	"github.com/askfirst/askfirst/proxy/admin"
	"github.com/askfirst/askfirst/proxy/audit"
	"github.com/askfirst/askfirst/rules"
	"github.com/askfirst/askfirst/rules/consent"
)

// records adds --data to f; the returned function opens the store there, which
// a running askfirst may be writing to.
func (c *console) records(f *flag.FlagSet) func() (*audit.Store, error) {
	data := f.String("data", filepath.Join(dataFolder, "8080"), "the `folder` that records are kept in")
	return func() (*audit.Store, error) {
		if _, err := os.Stat(filepath.Join(*data, audit.FileName)); err != nil {
			return nil, usageErrorf("there are no records in %s; name their folder with --data", *data)
		}
		return audit.Open(context.Background(), *data, slog.New(slog.NewTextHandler(c.err, nil)))
	}
}

func runReceipts(c *console, args []string) error {
	const synopsis = "receipts verify|find|export|erase [--data FOLDER] [--id ID]"
	f := c.flags(synopsis)
	open := c.records(f)
	id := f.String("id", "", "the `ID` of the receipt, as the visitor's own record shows it")
	action := ""
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		action, args = args[0], args[1:]
	}
	if err := parse(f, args, 0); err != nil {
		return err
	}
	var one consent.ID
	if *id != "" {
		var ok bool
		if one, ok = consent.ParseID(*id); !ok {
			return usageErrorf("%q is no receipt's ID", *id)
		}
	}
	switch action {
	case "verify", "export":
	case "find", "erase":
		if *id == "" {
			return usageErrorf("receipts %s needs --id ID", action)
		}
	default:
		return usageErrorf("askfirst %s", synopsis)
	}
	store, err := open()
	if err != nil {
		return err
	}
	err = receipts(c.out, store, action, one, *id != "")
	return errors.Join(err, store.Close())
}

func receipts(w io.Writer, store *audit.Store, action string, id consent.ID, one bool) error {
	ctx := context.Background()
	switch action {
	case "verify":
		v, err := store.Verify(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%d receipts of %d sites, %d of them erased\n", v.Receipts, v.Sites, v.Erased)
		for _, b := range v.Breaks {
			fmt.Fprintln(w, b)
		}
		if len(v.Breaks) > 0 {
			return fmt.Errorf("the ledger is not what was written: %d breaks", len(v.Breaks))
		}
		return nil
	case "find":
		r, err := store.Receipt(ctx, id)
		if err != nil {
			return err
		}
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "erase":
		who := "operator"
		if u, err := user.Current(); err == nil {
			who += " " + u.Username
		}
		return store.EraseAs(ctx, id, who)
	}
	if one {
		return store.ExportOne(ctx, w, id)
	}
	return store.Export(ctx, w, audit.Filter{})
}

func runStore(c *console, args []string) error {
	f := c.flags("store prune [--dry-run] [--data FOLDER]")
	open := c.records(f)
	dry := f.Bool("dry-run", false, "only say what would be taken out")
	if len(args) == 0 || args[0] != "prune" {
		return usageErrorf("askfirst %s", f.Name())
	}
	if err := parse(f, args[1:], 0); err != nil {
		return err
	}
	store, err := open()
	if err != nil {
		return err
	}
	prune := store.Prune
	if *dry {
		prune = store.Prunable
	}
	p, err := prune(context.Background(), audit.DefaultRetention)
	if err == nil {
		fmt.Fprintf(c.out, "%d receipts, %d texts, %d rows of counts\n", p.Receipts, p.Texts, p.Counts)
	}
	return errors.Join(err, store.Close())
}

func runReport(c *console, args []string) error {
	f := c.flags("report [--site NAME] --month YYYY-MM [--data FOLDER] > report.html")
	open := c.records(f)
	site := f.String("site", "", "the `name` of the site (default all)")
	month := f.String("month", "", "the `month`, such as 2026-10")
	if err := parse(f, args, 0); err != nil {
		return err
	}
	at, err := time.Parse("2006-01", *month)
	if err != nil {
		return usageErrorf("--month is %q; write a month such as 2026-10", *month)
	}
	engine, err := rules.New(rules.Options{})
	if err != nil {
		return err
	}
	store, err := open()
	if err != nil {
		return err
	}
	err = admin.Report(context.Background(), c.out, store, engine, *site, at)
	return errors.Join(err, store.Close())
}

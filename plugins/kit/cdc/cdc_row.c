/*
 * cdc_row: a row's cells to JSON. This runs for every value of every change.
 */
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_mask.h"

/* A value that is hashed or cut: of its text. */
static int masked(struct cdc *c, const struct cdc_field *f, const struct cdc_cell *cell, struct buf *out,
                  struct err *e)
{
    const void *text = cell->data;
    size_t n = cell->len;
    if (f->column->text) {
        buf_reset(&c->scratch);
        if (f->column->text(f->column, cell->data, cell->len, &c->scratch, e) != ERR_OK)
            return e->code;
        text = c->scratch.data;
        n = c->scratch.len;
    }
    return cdc_mask_write(f->mask, n ? text : "", n, out, &c->scratch2, e);
}

static int value(struct cdc *c, const struct cdc_field *f, const struct cdc_cell *cell, struct buf *out,
                 struct err *e)
{
    if (__builtin_expect(f->mask != NULL, 0))
        return f->mask->kind == CDC_MASK_FIXED ? cdc_put_str(out, &f->null, e) : masked(c, f, cell, out, e);
    return f->column->encode(f->column, cell->data, cell->len, out, e);
}

int cdc_field_write(struct cdc *c, const struct cdc_field *f, const struct cdc_cell *cell, struct buf *out,
                    struct err *e)
{
    switch (cell->state) {
    case CDC_VALUE:
        if (value(c, f, cell, out, e) == ERR_OK)
            return ERR_OK;
        return err_wrap(e, "column %s", f->column->name);
    case CDC_NULL:
        return cdc_put_str(out, &f->null, e);
    case CDC_UNCHANGED:
        return cdc_put_str(out, &f->unchanged, e);
    default:
        return cdc_put_str(out, &f->absent, e);
    }
}

int cdc_fields_write(struct cdc *c, const struct cdc_fields *f, const struct cdc_cell *row,
                     const struct cdc_cell *old, struct buf *out, struct err *e)
{
    if (f->count == 0)
        return CDC_PUT(out, "{}", e);
    for (size_t i = 0; i < f->count; i++) {
        const struct cdc_field *one = &f->items[i];
        if (cdc_put_str(out, &one->name, e) != ERR_OK ||
            cdc_field_write(c, one, cdc_cell_of(row, old, one->index), out, e) != ERR_OK)
            return e->code;
    }
    return CDC_PUT(out, "}", e);
}

int cdc_table_key(const struct cdc_table *t, const struct cdc_cell *row, struct buf *out, struct err *e)
{
    return cdc_fields_write(t->cdc, &t->key, row, NULL, out, e);
}

/* real, double precision, numeric and money in each mode. Spellings of floats are Java's (Double.toString of OpenJDK 21). */
#include "pg_values.h"

static const struct typed real = {700, "float4", false, -1}, dbl = {701, "float8", false, -1},
                          variable = {1700, "numeric", false, -1},
                          n82 = {1700, "numeric", false, NUMERIC(8, 2)},
                          negative = {1700, "numeric", false, NUMERIC(4, -2)},
                          wide = {1700, "numeric", false, NUMERIC(3, 5)}, money = {790, "money", false, -1};

static void test_floats(void **state)
{
    (void)state;
    ASSERT_ALL(dbl, ((const struct pair[]){
                        {"0", "0.0"},
                        {"-0", "-0.0"},
                        {"1", "1.0"},
                        {"0.1", "0.1"},
                        {"100", "100.0"},
                        {"0.001", "0.001"},
                        {"0.0001", "1.0E-4"},
                        {"0.00012", "1.2E-4"},
                        {"9999999", "9999999.0"},
                        {"10000000", "1.0E7"},
                        {"12345678.5", "1.23456785E7"},
                        {"123456789.12345679", "1.2345678912345679E8"},
                        {"1e+22", "1.0E22"},
                        {"1.5e-07", "1.5E-7"},
                        {"1.7976931348623157e+308", "1.7976931348623157E308"},
                        {"2.2250738585072014e-308", "2.2250738585072014E-308"},
                        {"5e-324", "4.9E-324"},
                        {"1e-323", "9.9E-324"},
                        {"1.5e-323", "1.5E-323"},
                        {"2e-322", "2.0E-322"},
                        {"NaN", "\"NaN\""},
                        {"Infinity", "\"Infinity\""},
                        {"-Infinity", "\"-Infinity\""},
                    }));
    ASSERT_ALL(real, ((const struct pair[]){{"3.4028235e+38", "3.4028235E38"},
                                            {"1.6777216e+07", "1.6777216E7"},
                                            {"1e-45", "1.4E-45"},
                                            {"3e-45", "2.8E-45"},
                                            {"7e-45", "7.0E-45"},
                                            {"1e-44", "9.8E-45"},
                                            {"0.1", "0.1"}}));
    ASSERT_NONE(dbl, "", "-", ".5", "1.", "1.5.2", "1e", "1e+", "1E5", "+1", "nan", "inf", "--1", "0x10",
                "1e5x", "1 ", "1e400", "1e-400",
                "1111111111111111111111111111111111111111111111111111111111111111");
}

static void test_decimals(void **state)
{
    (void)state;
    ASSERT_ALL(n82, ((const struct pair[]){
                        {"0.00", "\"AA==\""},
                        {"-0.01", "\"/w==\""},
                        {"1.50", "\"AJY=\""},
                        {"1.5", "\"AJY=\""}, /* a default */
                        {"1", "\"ZA==\""},
                        {"1.5000", "\"AJY=\""},
                        {"-1.28", "\"gA==\""},
                        {"-1.29", "\"/38=\""},
                        {"1.27", "\"fw==\""},
                        {"-12345.67", "\"7Sl5\""},
                        {"999999.99", "\"BfXg/w==\""},
                        {"NaN", "null"},
                    }));
    ASSERT_NONE(n82, "", "-", ".", "1.", ".5", "1.505", "1e5", "+1", "1,5", "1.5x", "inf", "--1");
    ASSERT_ALL(negative,
               ((const struct pair[]){{"1200", "\"DA==\""}, {"0", "\"AA==\""}, {"-100", "\"/w==\""}}));
    ASSERT_NONE(negative, "1250", "1200.5");
    ASSERT_ALL(wide, ((const struct pair[]){{"0.00123", "\"ew==\""}}));
}

/* Two's complement around each limit of bytes, registers and limbs; expected by Python's int.to_bytes. */
static void test_unscaled_widths(void **state)
{
    (void)state;
    static const struct typed n = {1700, "numeric", false, NUMERIC(200, 0)};
    ASSERT_ALL(n, ((const struct pair[]){
                      {"127", "\"fw==\""},
                      {"128", "\"AIA=\""},
                      {"-128", "\"gA==\""},
                      {"-129", "\"/38=\""},
                      {"999999999999999999", "\"DeC2s6dj//8=\""},
                      {"-999999999999999999", "\"8h9JTFicAAE=\""},
                      {"1000000000000000000", "\"DeC2s6dkAAA=\""},
                      {"9223372036854775807", "\"f/////////8=\""},
                      {"9223372036854775808", "\"AIAAAAAAAAAA\""},
                      {"-9223372036854775808", "\"gAAAAAAAAAA=\""},
                      {"-9223372036854775809", "\"/3//////////\""},
                      {"18446744073709551615", "\"AP//////////\""},
                      {"18446744073709551616", "\"AQAAAAAAAAAA\""},
                      {"-18446744073709551616", "\"/wAAAAAAAAAA\""},
                      {"-79228162514264337593543950336", "\"/wAAAAAAAAAAAAAAAA==\""},
                      {"170141183460469231731687303715884105727", "\"f////////////////////w==\""},
                      {"-170141183460469231731687303715884105728", "\"gAAAAAAAAAAAAAAAAAAAAA==\""},
                      {"000000000000000000000000000001", "\"AQ==\""},
                  }));
    ASSERT_ALL(variable,
               ((const struct pair[]){
                   {"0", "{\"scale\":0,\"value\":\"AA==\"}"},
                   {"0.000", "{\"scale\":0,\"value\":\"AA==\"}"},
                   {"-0.00100", "{\"scale\":3,\"value\":\"/w==\"}"},
                   {"1.10", "{\"scale\":1,\"value\":\"Cw==\"}"},
                   {"100", "{\"scale\":0,\"value\":\"ZA==\"}"},
                   {"1000000000000000000000000000000", "{\"scale\":0,\"value\":\"DJ8snNBGdO3qQAAAAA==\"}"},
                   {"123456789012345678901234567890.123456789",
                    "{\"scale\":9,\"value\":\"XODppWAV/sWq36MorjmBFQ==\"}"},
                   {"Infinity", "null"},
               }));
}

/* A number with as many digits as numeric can have, and one more. */
static void test_longest_number(void **state)
{
    (void)state;
    size_t n = 131072;
    char *text = malloc(n + 16400);
    struct buf out;
    struct cdc_column c;
    struct pg_types *types = types_of_modes();
    assert_non_null(text);
    memset(text, '9', n + 16400);
    text[n] = '.';
    buf_init(&out, 1 << 20);
    column_of(types, &variable, true, &c);
    assert_ok(encode_text(&c, text, n + 1 + 16383, &out), &e);
    /* 147455 nines: 61229 bytes of a sign and 489833 bits, in base64 with what stands around it. */
    assert_int_equal(out.len, strlen("{\"scale\":16383,\"value\":\"\"}") + 81640);
    assert_code(encode_text(&c, text, n + 16400, &out), ERR_INVALID_RECORD, &e);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
    free(text);
}

static void test_numeric_as_double(void **state)
{
    (void)state;
    modes.decimal = PG_DECIMAL_DOUBLE;
    ASSERT_ALL(n82, ((const struct pair[]){
                        {"-123.40", "-123.4"}, {"0.00", "0.0"}, {"1000.10", "1000.1"}, {"NaN", "\"NaN\""}}));
    ASSERT_ALL(variable, ((const struct pair[]){{"10000000000000000000000000", "1.0E25"},
                                                {"0.000001", "1.0E-6"},
                                                {"-0.00100", "-0.001"},
                                                {"0.30000000000000004", "0.30000000000000004"},
                                                {"0.1000000000000000055511151231257827", "0.1"},
                                                {"9007199254740993", "9.007199254740992E15"},
                                                {"12345678901234567890.12", "1.2345678901234567E19"},
                                                {"-Infinity", "\"-Infinity\""}}));
    char huge[400] = "1";
    memset(huge + 1, '0', 309);
    assert_writes(&variable, huge, "\"Infinity\"");
    ASSERT_NONE(variable, "", "1e5", "nan", "1.");
    modes.decimal = PG_DECIMAL_PRECISE;
}

static void test_numeric_as_text(void **state)
{
    (void)state;
    modes.decimal = PG_DECIMAL_STRING;
    ASSERT_ALL(n82, ((const struct pair[]){{"-123.40", "\"-123.40\""},
                                           {"1.5", "\"1.50\""}, /* a default */
                                           {"5", "\"5.00\""},
                                           {"NaN", "\"NAN\""}}));
    ASSERT_ALL(variable,
               ((const struct pair[]){{"1.10", "\"1.10\""},
                                      {"10000000000000000000000000", "\"10000000000000000000000000\""},
                                      {"Infinity", "\"POSITIVE_INFINITY\""},
                                      {"-Infinity", "\"NEGATIVE_INFINITY\""}}));
    ASSERT_NONE(variable, "", "\"", "1e5");
    modes.decimal = PG_DECIMAL_PRECISE;
}

static void test_money(void **state)
{
    (void)state;
    modes.money_scale = 2;
    const char *json[] = {"\"Aw==\"", "\"Gg==\"", "\"AQE=\"", "\"Cgo=\""}; /* 2.57 with 0 to 3 digits */
    for (int32_t digits = 0; digits < 4; digits++) {
        modes.money_digits = digits;
        assert_writes(&money, "$2.57", json[digits]);
    }
    modes.money_digits = 1;
    ASSERT_ALL(money,
               ((const struct pair[]){{"$2.54", "\"GQ==\""}, {"$2.55", "\"Gg==\""}, {"-$2.55", "\"5g==\""}}));
    modes.money_digits = 0;
    ASSERT_ALL(money, ((const struct pair[]){
                          {"-$0.50", "\"/w==\""}, {"$0.49", "\"AA==\""}, {"-$1,234.50", "\"+y0=\""}}));
    modes.money_digits = 2;
    ASSERT_ALL(money, ((const struct pair[]){{"$1,234.56", "\"AeJA\""},
                                             {"-$0.05", "\"+w==\""},
                                             {"$92,233,720,368,547,758.07", "\"f/////////8=\""},
                                             {"-$92,233,720,368,547,758.08", "\"gAAAAAAAAAA=\""}}));
    ASSERT_NONE(money, "", "$", "1.00", "$1", "$1.0", "$1.000", "$,1.00", "$1.00x", "$-1.00", "--$1.00",
                "EUR 1.00", "$999999999999999999.00");
    modes.decimal = PG_DECIMAL_DOUBLE;
    assert_writes(&money, "$1,234.50", "1234.5");
    modes.decimal = PG_DECIMAL_STRING;
    assert_writes(&money, "-$1,234.50", "\"-1234.50\"");
    modes = (struct pg_modes){0};
}

/* Where lc_monetary has another number of digits behind the point; over our connections the server writes two all the same. */
static void test_money_of_another_scale(void **state)
{
    (void)state;
    modes = (struct pg_modes){.decimal = PG_DECIMAL_STRING, .money_scale = 0};
    ASSERT_ALL(money, ((const struct pair[]){{"$12.34", "\"1234\""},
                                             {"-$0.05", "\"-5\""},
                                             {"$0.00", "\"0\""},
                                             {"-$92,233,720,368,547,758.08", "\"-9223372036854775808\""}}));
    modes.money_scale = 3;
    ASSERT_ALL(money, ((const struct pair[]){
                          {"$12,345.67", "\"1234.567\""}, {"-$0.05", "\"-0.005\""}, {"$0.00", "\"0.000\""}}));
    modes.money_scale = 10;
    ASSERT_ALL(money, ((const struct pair[]){{"$0.01", "\"0.0000000001\""},
                                             {"$123,456,789.01", "\"1.2345678901\""}}));
    modes.decimal = PG_DECIMAL_DOUBLE;
    assert_writes(&money, "$123,456,789.01", "1.2345678901");
    modes = (struct pg_modes){.money_scale = 3, .money_digits = 2}; /* 1.234: 1.23; -1.235: -1.24 */
    ASSERT_ALL(money, ((const struct pair[]){{"$12.34", "\"ew==\""}, {"-$12.35", "\"hA==\""}}));
    modes.money_digits = 4;
    assert_writes(&money, "$12.34", "\"MDQ=\""); /* 1.2340 */
    modes = (struct pg_modes){0};
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floats),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_unscaled_widths),
        cmocka_unit_test(test_longest_number),
        cmocka_unit_test(test_numeric_as_double),
        cmocka_unit_test(test_numeric_as_text),
        cmocka_unit_test(test_money),
        cmocka_unit_test(test_money_of_another_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

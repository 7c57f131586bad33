/* pg_recorded_more: where the events of tests/data/debezium-more are other than Debezium's, for test_pg_recorded_more.c. */
#ifndef LEAT_TESTS_PG_RECORDED_MORE_H
#define LEAT_TESTS_PG_RECORDED_MORE_H

#include "pg_recorded.h"

/* clang-format off: a row each */
static const struct difference listed[] = {
    /* bit[] is an array. */
    {"types_more", "b1a", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"boolean\",\"optional\":true},\"optional\":true,\"field\":"
     "\"b1a\"}"},
    {"types_more", "b1a", "11", "[true,false]"},
    /* Elements that may be NULL are optional. */
    {"types_more", "isba", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"isba\"}"},
    {"types_more", "mooda", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data."
     "Enum\",\"version\":1,\"parameters\":{\"allowed\":\"sad,it's "
     "ok,hap,py\"}},\"optional\":true,\"field\":\"mooda\"}"},
    {"types_more_string", "xida", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"xida\"}"},
    {"types_more_double", "xida", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"xida\"}"},
    {"types_more_string", "bxa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"bxa\"}"},
    {"types_more_double", "bxa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"bxa\"}"},
    {"types_more_string", "lsa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"lsa\"}"},
    {"types_more_double", "lsa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"lsa\"}"},
    {"types_more_string", "coa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"coa\"}"},
    {"types_more_double", "coa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"coa\"}"},
    {"types_more_string", "mra", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"mra\"}"},
    {"types_more_double", "mra", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true},\"optional\":true,\"field\":"
     "\"mra\"}"},
    {"types_more_connect", "xida", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},\"optional\":true,\"field\":"
     "\"xida\"}"},
    {"types_more_connect", "bxa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},\"optional\":true,\"field\":"
     "\"bxa\"}"},
    {"types_more_connect", "lsa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},\"optional\":true,\"field\":"
     "\"lsa\"}"},
    {"types_more_connect", "coa", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},\"optional\":true,\"field\":"
     "\"coa\"}"},
    {"types_more_connect", "mra", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},\"optional\":true,\"field\":"
     "\"mra\"}"},
    {"types_more", "absent.ea", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data."
     "Enum\",\"version\":1,\"parameters\":{\"allowed\":\"sad,it's "
     "ok,hap,py\"}},\"optional\":false,\"field\":\"ea\"}"},
    {"types_more", "toasty.ea", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data."
     "Enum\",\"version\":1,\"parameters\":{\"allowed\":\"sad,it's "
     "ok,hap,py\"}},\"optional\":true,\"field\":\"ea\"}"},
    /* An element without a value is null, not the whole array. */
    {"types_more_default", "numa", "11",
     "[null,{\"scale\":0,\"value\":\"AQ==\"},null,{\"scale\":10,\"value\":\"AQ==\"}]"},
    {"types_more_connect", "numa", "11",
     "[null,{\"scale\":0,\"value\":\"AQ==\"},null,{\"scale\":10,\"value\":\"AQ==\"}]"},
    {"types_more_microseconds", "numa", "11",
     "[null,{\"scale\":0,\"value\":\"AQ==\"},null,{\"scale\":10,\"value\":\"AQ==\"}]"},
    {"types_more_default", "num82a", "11", "[null,\"ZA==\"]"},
    {"types_more_connect", "num82a", "11", "[null,\"ZA==\"]"},
    {"types_more_microseconds", "num82a", "11", "[null,\"ZA==\"]"},
    {"types_more", "lta", "11", "[\"a.b\",null]"},
    {"types_more_string", "numa", "11", "[\"NAN\",\"1.0\",\"NEGATIVE_INFINITY\",\"0.0000000001\"]"},
    {"types_more_string", "num82a", "11", "[\"NAN\",\"1.00\"]"},
    {"types_more_double", "numa", "11", "[\"NaN\",1.0,\"-Infinity\",1.0E-10]"},
    {"types_more_double", "num82a", "11", "[\"NaN\",1.0]"},
    /* Recorded with Java 17, which has other digits for some numbers; these are those of Java 19 and later. */
    {"types_more", "f4a", "11",
     "[\"NaN\",\"Infinity\",-0.0,1.4E-45,2.8E-45,9.8E-45,7.0E-45,1.1754944E-38,123456.7,1.0E7,9999999.0,0."
     "001,9.9999E-4]"},
    {"types_more", "f8a", "11",
     "[\"NaN\",\"-Infinity\",-0.0,4.9E-324,9.9E-324,2.0E-323,1.5E-323,9.9E-323,9.007199254740992E15,1.0E21,9."
     "999999999999999E22,1.2345678901234568E17,0.001,9.999999999999998E-4,1.0E7,9999999.999999998]"},
    /* Microseconds of times in arrays are kept. */
    {"types_more_default", "tma", "11", "[0,3723456700]"},
    {"types_more_microseconds", "tma", "11", "[0,3723456700]"},
    {"types_more_string", "tma", "11", "[\"00:00:00Z\",\"01:02:03.4567Z\"]"},
    {"types_more_double", "tma", "11", "[0,3723456700000]"},
    /* Infinite or beyond the range; before 1582-10-15 in arrays. */
    {"types_more_default", "ts6a", "11", "[9223372036825200000,-9223372036832400000,-63517820277000000]"},
    {"types_more_microseconds", "ts6a", "11",
     "[9223372036825200000,-9223372036832400000,-63517820277000000]"},
    {"types_more_default", "da", "11", "[2147483647,-2147483648,-735160,-171664]"},
    {"types_more_double", "da", "11", "[2147483647,-2147483648,-735160,-171664]"},
    {"types_more_connect", "da", "11", "[2147483647,-2147483648,-735160,-171664]"},
    {"types_more_microseconds", "da", "11", "[2147483647,-2147483648,-735160,-171664]"},
    {"types_more_default", "d", "14", "2147483647"},
    {"types_more_double", "d", "14", "2147483647"},
    {"types_more_connect", "d", "14", "2147483647"},
    {"types_more_microseconds", "d", "14", "2147483647"},
    {"types_more_default", "d", "15", "-2147483648"},
    {"types_more_double", "d", "15", "-2147483648"},
    {"types_more_connect", "d", "15", "-2147483648"},
    {"types_more_microseconds", "d", "15", "-2147483648"},
    {"types_more_string", "ts6a", "11", "[\"infinity\",\"-infinity\",\"-0043-03-15T01:02:03Z\"]"},
    {"types_more_string", "da", "11", "[\"infinity\",\"-infinity\",\"-0043-03-15Z\",\"1500-01-01Z\"]"},
    {"types_more_string", "ts", "14", "\"infinity\""},
    {"types_more_string", "d", "14", "\"infinity\""},
    {"types_more_string", "ts", "15", "\"-infinity\""},
    {"types_more_string", "d", "15", "\"-infinity\""},
    {"types_more_double", "ts6a", "11", "[9223372036854775807,-9223372036854775808,-9223372036854775808]"},
    {"types_more_double", "ts", "12", "9223372036854775807"},
    {"types_more_double", "ts", "13", "-9223372036854775808"},
    {"types_more_double", "ts", "14", "9223372036854775807"},
    {"types_more_double", "ts", "15", "-9223372036854775808"},
    {"types_more_double", "ts", "17", "9223372036854775807"},
    {"types_more_connect", "ts6a", "11", "[9223372036825200,-9223372036832400,-63517820277000]"},
    {"types_more", "tzi", NULL,
     "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.time.ZonedTimestamp\",\"version\":1,"
     "\"default\":\"infinity\",\"field\":\"tzi\"}"},
    {"types_more_default", "tsi", NULL,
     "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.MicroTimestamp\",\"version\":1,"
     "\"default\":9223372036825200000,\"field\":\"tsi\"}"},
    {"types_more_microseconds", "tsi", NULL,
     "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.MicroTimestamp\",\"version\":1,"
     "\"default\":9223372036825200000,\"field\":\"tsi\"}"},
    {"types_more_default", "di", NULL,
     "{\"type\":\"int32\",\"optional\":true,\"name\":\"io.debezium.time.Date\",\"version\":1,\"default\":"
     "2147483647,\"field\":\"di\"}"},
    {"types_more_double", "di", NULL,
     "{\"type\":\"int32\",\"optional\":true,\"name\":\"io.debezium.time.Date\",\"version\":1,\"default\":"
     "2147483647,\"field\":\"di\"}"},
    {"types_more_microseconds", "di", NULL,
     "{\"type\":\"int32\",\"optional\":true,\"name\":\"io.debezium.time.Date\",\"version\":1,\"default\":"
     "2147483647,\"field\":\"di\"}"},
    {"types_more_string", "tsi", NULL,
     "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.time.IsoTimestamp\",\"version\":1,"
     "\"default\":\"infinity\",\"field\":\"tsi\"}"},
    {"types_more_string", "di", NULL,
     "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.time.IsoDate\",\"version\":1,\"default\":"
     "\"infinity\",\"field\":\"di\"}"},
    {"types_more_double", "tsi", NULL,
     "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.NanoTimestamp\",\"version\":1,"
     "\"default\":9223372036854775807,\"field\":\"tsi\"}"},
    {"types_more_connect", "tsi", NULL,
     "{\"type\":\"int64\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Timestamp\",\"version\":"
     "1,\"default\":9223372036825200,\"field\":\"tsi\"}"},
    {"types_more_connect", "di", NULL,
     "{\"type\":\"int32\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Date\",\"version\":1,"
     "\"default\":2147483647,\"field\":\"di\"}"},
    /* int2vector and oidvector have values. */
    {"types_more", "iv2", "11", "[1,2]"},
    {"types_more", "ov", "11", "[3,4]"},
    /* Fractions of seconds are exact. */
    {"types_more_default", "iv", "14", "1000001"},
    {"types_more_double", "iv", "14", "1000001"},
    {"types_more_connect", "iv", "14", "1000001"},
    {"types_more_microseconds", "iv", "14", "1000001"},
    /* An expression is not its first literal. */
    {"types_more", "t_calc", NULL, "{\"type\":\"string\",\"optional\":true,\"field\":\"t_calc\"}"},
    {"types_more", "t_calc_nn", NULL, "{\"type\":\"string\",\"optional\":false,\"field\":\"t_calc_nn\"}"},
    /* A quote or a line end in a default. */
    {"types_more", "t_q", NULL,
     "{\"type\":\"string\",\"optional\":true,\"default\":\"it's\",\"field\":\"t_q\"}"},
    {"types_more", "t_nl", NULL,
     "{\"type\":\"string\",\"optional\":true,\"default\":\"two\\nlines\",\"field\":\"t_nl\"}"},
    {"types_more", "e_q", NULL,
     "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":"
     "{\"allowed\":\"sad,it's ok,hap,py\"},\"default\":\"it's ok\",\"field\":\"e_q\"}"},
    /* Large values that did not change: the placeholder in every type that can hold it. */
    {"types_more", "vb", "unchanged", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""},
    {"types_more_default", "na", "unchanged",
     "[{\"scale\":0,\"value\":\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"}]"},
    {"types_more_connect", "na", "unchanged",
     "[{\"scale\":0,\"value\":\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"}]"},
    {"types_more_microseconds", "na", "unchanged",
     "[{\"scale\":0,\"value\":\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"}]"},
    {"types_more", "fa", "unchanged",
     "[95.0,95.0,100.0,101.0,98.0,101.0,122.0,105.0,117.0,109.0,95.0,117.0,110.0,97.0,118.0,97.0,105.0,108.0,"
     "97.0,98.0,108.0,101.0,95.0,118.0,97.0,108.0,117.0,101.0]"},
    {"types_more", "i2a", "unchanged",
     "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"
     "101]"},
    {"types_more_default", "tsa", "unchanged",
     "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"
     "101]"},
    {"types_more_double", "tsa", "unchanged",
     "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"
     "101]"},
    {"types_more_connect", "tsa", "unchanged",
     "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"
     "101]"},
    {"types_more_microseconds", "tsa", "unchanged",
     "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"
     "101]"},
    {"types_more", "tza", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more", "ia", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more", "ca", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more", "toasty.ea", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more_default", "hsa", "unchanged",
     "[\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"]"},
    {"types_more_double", "hsa", "unchanged",
     "[\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"]"},
    {"types_more_connect", "hsa", "unchanged",
     "[\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"]"},
    {"types_more_microseconds", "hsa", "unchanged",
     "[\"{\\\"__debezium_unavailable_value\\\":\\\"__debezium_unavailable_value\\\"}\"]"},
    {"types_more", "ra", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more_string", "na", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more_string", "tsa", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more_string", "hsa", "unchanged",
     "[{\"__debezium_unavailable_value\":\"__debezium_unavailable_value\"}]"},
    {"types_more_string", "bya", "unchanged", "[\"__debezium_unavailable_value\"]"},
    {"types_more_double", "na", "unchanged",
     "[95.0,95.0,100.0,101.0,98.0,101.0,122.0,105.0,117.0,109.0,95.0,117.0,110.0,97.0,118.0,97.0,105.0,108.0,"
     "97.0,98.0,108.0,101.0,95.0,118.0,97.0,108.0,117.0,101.0]"},
    {"types_more_double", "bya", "unchanged", "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]"},
    {"types_more_microseconds", "bya", "unchanged", "[\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\"]"},
    {"types_more_double", "pg", "unchanged", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""},
    {"types_more_double", "pa", "unchanged", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""},
    {"types_more_double", "co", "unchanged", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""},
    {"types_more_double", "mr", "unchanged", "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""},
    {NULL, NULL, NULL, NULL},
};
/* clang-format on */

#endif

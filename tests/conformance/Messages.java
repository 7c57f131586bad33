/*
 * Random messages of every version of every api whose key is named, as Kafka itself writes and reads them: a line each with
 * key, version, "request" or "response", the bytes in hexadecimal, and Kafka's JSON of them.
 *
 *   java Messages.java SEED MESSAGES KEY:MIN-MAX...
 */
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;

public class Messages {
    static Random random;

    static Object number(int bits) {
        return random.nextInt(4) == 0 ? (long) random.nextInt(3) - 1 : random.nextLong() >> (64 - bits) >> random.nextInt(bits);
    }

    static String text() {
        String[] some = {"", "a", "topic", "\u00fc\u6f22\ud83d\ude00", "quote\" \\ \n", "x".repeat(200)};
        return some[random.nextInt(some.length)];
    }

    static byte[] bytes() {
        byte[] b = new byte[random.nextInt(5) == 0 ? 300 : random.nextInt(6)];
        random.nextBytes(b);
        return b;
    }

    static Object value(Type t, String name) {
        if (t.isNullable() && random.nextInt(4) == 0)
            return null;
        if (t.arrayElementType().isPresent()) {
            List<Object> items = new ArrayList<>();
            for (int n = random.nextInt(4); n > 0; n--)
                items.add(value(t.arrayElementType().get(), name));
            return items.toArray();
        }
        if (t instanceof Schema)
            return struct((Schema) t);
        if (t instanceof TaggedFields)
            return tagged((TaggedFields) t);
        String kind = t.toString();
        if (kind.contains("SCHEMA") || kind.contains("Schema"))
            throw new IllegalStateException(name + ": " + t.getClass());
        switch (kind) {
        case "BOOLEAN": return random.nextBoolean();
        case "INT8": return ((Long) number(8)).byteValue();
        case "INT16": return ((Long) number(16)).shortValue();
        case "UINT16": return (int) ((Long) number(16) & 0xffff);
        case "INT32": return ((Long) number(32)).intValue();
        case "INT64": return number(64);
        case "FLOAT64": return random.nextInt(1000) / 8.0;
        case "UUID": return random.nextInt(4) == 0 ? Uuid.ZERO_UUID : new Uuid(random.nextLong(), random.nextLong());
        }
        if (kind.contains("RECORDS"))
            return random.nextBoolean() && t.isNullable() ? null : org.apache.kafka.common.record.internal.MemoryRecords.EMPTY;
        if (kind.contains("STRING"))
            return text();
        if (kind.contains("BYTES"))
            return ByteBuffer.wrap(bytes());
        throw new IllegalStateException(name + ": " + kind + " " + t.getClass());
    }

    static Map<Integer, Object> tagged(TaggedFields t) {
        Map<Integer, Object> out = new TreeMap<>();
        for (Map.Entry<Integer, Field> f : t.fields().entrySet())
            if (random.nextBoolean())
                out.put(f.getKey(), value(f.getValue().type, f.getValue().name));
        return out;
    }

    static Struct struct(Schema s) {
        Struct out = new Struct(s);
        for (BoundField f : s.fields())
            out.set(f, value(f.def.type, f.def.name));
        return out;
    }

    static String json(ApiMessage m, short version) throws Exception {
        String name = m.getClass().getName() + "JsonConverter";
        return Class.forName(name).getMethod("write", m.getClass(), short.class, boolean.class)
            .invoke(null, m, version, false).toString();
    }

    /** Random bytes of the schema, read and written again by Kafka: what it writes is the one form of them. */
    static void line(ApiKeys key, short version, boolean request) throws Exception {
        Schema s = (request ? key.messageType.requestSchemas() : key.messageType.responseSchemas())[version];
        Struct random = struct(s);
        ByteBuffer raw = ByteBuffer.allocate(s.sizeOf(random));
        s.write(raw, random);
        raw.flip();
        ApiMessage m = request ? key.messageType.newRequest() : key.messageType.newResponse();
        m.read(new ByteBufferAccessor(raw), version);
        ByteBuffer b = MessageUtil.toByteBufferAccessor(m, version).buffer();
        byte[] out = new byte[b.remaining()];
        b.get(out);
        System.out.println(key.id + "\t" + version + "\t" + (request ? "request" : "response") + "\t" +
                           HexFormat.of().formatHex(out) + "\t" + json(m, version).replace("\t", "\\t"));
    }

    public static void main(String[] args) throws Exception {
        random = new Random(Long.parseLong(args[0]));
        System.setOut(new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), false, StandardCharsets.UTF_8));
        for (int i = 2; i < args.length; i++) {
            String[] parts = args[i].split("[:-]");
            ApiKeys key = ApiKeys.forId(Integer.parseInt(parts[0]));
            for (short v = Short.parseShort(parts[1]); v <= Short.parseShort(parts[2]); v++)
                for (int n = 0; n < Integer.parseInt(args[1]); n++) {
                    line(key, v, true);
                    line(key, v, false);
                }
        }
        System.out.flush();
    }
}

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * Sends scan events to carrier, and registers Tokens. Java 17 or newer, nothing else.
 *
 * <pre>
 * java Send.java send URL FILE                                    events, one JSON object a line
 * java Send.java token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN     a waybill's Token
 * </pre>
 *
 * Credentials come from the environment: CARRIER_SIGNING_SECRET (whsec_...), or CARRIER_API_KEY; for token
 * CARRIER_ADMIN_TOKEN. For each event a line is printed, its id and its verdict. The exit status is 1 if any was refused.
 */
public class Send {
    static final int BATCH = 100; // Events a request; 1,000 and 1 MiB are the most.
    static final int PATIENCE = 10; // Attempts. A real sender keeps its events, and goes on for as long as it takes.
    static final Set<String> SAFE = Set.of("accepted", "held", "ignored", "duplicate");

    static final HttpClient CLIENT = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(10)).build();

    public static void main(String[] args) throws Exception {
        try {
            if (args.length == 3 && args[0].equals("send")) {
                System.exit(send(args[1].replaceAll("/+$", ""), Path.of(args[2])));
            }
            if (args.length == 5 && args[0].equals("token")) {
                System.exit(token(args[1].replaceAll("/+$", ""), args[2], args[3], args[4]));
            }
            throw new Refused("send URL FILE, or token ADMIN_URL DELIVERY_ID WAYBILL_ID TOKEN");
        } catch (Refused e) {
            System.err.println(e.getMessage());
            System.exit(1);
        }
    }

    /** Something that stays the same however often the request is sent. */
    static class Refused extends Exception {
        Refused(String message) {
            super(message);
        }
    }

    /** Sends a file's events in its order: those of one waybill must not overtake each other. */
    static int send(String url, Path file) throws Exception {
        List<String> lines = Files.readAllLines(file).stream().filter(line -> !line.isBlank()).toList();
        int refused = 0;
        for (int i = 0; i < lines.size(); i += BATCH) {
            List<String> part = lines.subList(i, Math.min(i + BATCH, lines.size()));
            List<String> results = part.size() == 1
                ? List.of(post(url + "/v1/events", part.get(0), "application/json"))
                : objects(post(url + "/v1/events/batch", String.join("\n", part) + "\n", "application/x-ndjson"));
            for (String result : results) {
                String id = member(result, "id"), verdict = member(result, "verdict");
                System.out.println((id.isEmpty() ? "-" : id) + " " + verdict);
                // A duplicate repeats what was answered first, which may have been a rejection.
                if (!SAFE.contains(verdict) || member(result, "original").equals("rejected")) {
                    refused++;
                    System.err.println("  " + member(result, "detail"));
                }
            }
        }
        return refused == 0 ? 0 : 1;
    }

    /** Sends until there is an answer. Each attempt has the same bytes, so that what was taken already is a duplicate. */
    static String post(String url, String text, String mediaType) throws Exception {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        String messageID = UUID.randomUUID().toString();
        for (int attempt = 0; attempt < PATIENCE; attempt++) {
            long pause = ThreadLocalRandom.current().nextLong(Math.min(30_000, 200L << attempt));
            String trouble;
            try {
                HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url)).timeout(Duration.ofSeconds(30))
                    .header("Content-Type", mediaType).POST(BodyPublishers.ofByteArray(body));
                authorize(request, messageID, body);
                HttpResponse<String> answer = CLIENT.send(request.build(), BodyHandlers.ofString());
                int status = answer.statusCode();
                if (status / 100 == 2) {
                    return answer.body();
                }
                if (status < 500 && status != 408 && status != 429) {
                    if (!member(answer.body(), "verdict").isEmpty()) {
                        return answer.body(); // rejected, invalid or conflict
                    }
                    throw new Refused(url + ": " + status + " " + member(answer.body(), "title") + ": " + member(answer.body(), "detail"));
                }
                trouble = String.valueOf(status);
                String after = answer.headers().firstValue("Retry-After").orElse("");
                if (after.matches("\\d{1,6}")) {
                    pause = Long.parseLong(after) * 1000;
                }
            } catch (IOException e) {
                trouble = e.toString(); // No answer, or half of one.
            }
            System.err.printf("not taken yet (%s); again in %.1f s%n", trouble, pause / 1000.0);
            Thread.sleep(pause);
        }
        throw new Refused(url + ": not taken after " + PATIENCE + " attempts; keep the events and send them again");
    }

    /** Says who sends: by a signature (https://www.standardwebhooks.com), or by the key. */
    static void authorize(HttpRequest.Builder request, String messageID, byte[] body) throws Exception {
        String secret = System.getenv("CARRIER_SIGNING_SECRET");
        if (secret == null || secret.isEmpty()) {
            request.header("Authorization", "Bearer " + System.getenv("CARRIER_API_KEY"));
            return;
        }
        String now = String.valueOf(Instant.now().getEpochSecond());
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(Base64.getDecoder().decode(secret.replaceFirst("^whsec_", "")), "HmacSHA256"));
        mac.update((messageID + "." + now + ".").getBytes(StandardCharsets.UTF_8));
        request.header("webhook-id", messageID).header("webhook-timestamp", now)
            .header("webhook-signature", "v1," + Base64.getEncoder().encodeToString(mac.doFinal(body)));
    }

    /** Registers a waybill's Token; what waited for it is pushed then. */
    static int token(String adminURL, String deliveryID, String waybillID, String value) throws Exception {
        String path = "/admin/v1/waybills/" + escape(deliveryID) + "/" + escape(waybillID) + "/token";
        String body = "{\"token\":\"" + value.replace("\\", "\\\\").replace("\"", "\\\"") + "\"}";
        HttpResponse<String> answer = CLIENT.send(HttpRequest.newBuilder(URI.create(adminURL + path)).timeout(Duration.ofSeconds(30))
            .header("Content-Type", "application/json").header("Authorization", "Bearer " + System.getenv("CARRIER_ADMIN_TOKEN"))
            .PUT(BodyPublishers.ofString(body)).build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200 || !answer.body().contains("\"token_set\":true")) {
            throw new Refused(answer.statusCode() + ": " + member(answer.body(), "detail"));
        }
        System.out.println(waybillID + " token_set");
        return 0;
    }

    static String escape(String part) {
        return URLEncoder.encode(part, StandardCharsets.UTF_8).replace("+", "%20");
    }

    // Java has no JSON of its own; with a library at hand, use that in place of what follows.

    /** A text of a JSON object, "" if there is none of that name. */
    static String member(String object, String name) {
        Matcher m = Pattern.compile("\"" + name + "\":\"((?:[^\"\\\\]|\\\\.)*)\"").matcher(object);
        return m.find() ? m.group(1).replace("\\\"", "\"").replace("\\\\", "\\") : "";
    }

    /** The objects in the list "results" of a batch's answer. */
    static List<String> objects(String answer) {
        List<String> found = new ArrayList<>();
        int depth = 0, begin = 0;
        boolean text = false;
        for (int i = answer.indexOf("\"results\":[") + "\"results\":[".length(); i < answer.length(); i++) {
            char c = answer.charAt(i);
            if (text && c == '\\') {
                i++;
            } else if (c == '"') {
                text = !text;
            } else if (!text && (c == '{' || c == '[')) {
                begin = depth++ == 0 ? i : begin;
            } else if (!text && (c == '}' || c == ']') && --depth == 0) {
                found.add(answer.substring(begin, i + 1));
            } else if (!text && depth < 0) {
                break; // The list's own end.
            }
        }
        return found;
    }
}
